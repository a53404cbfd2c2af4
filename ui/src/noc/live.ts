// Tells pages what changed at the NOC. It keeps nothing: a page that hears of a change reads anew what it shows.

import { useEffect, useRef, useSyncExternalStore } from 'react'
import type { Changes, Noc } from '../backend/noc.ts'
import { useFace } from './session.tsx'

type Heard = (changes: Changes | null) => void

export class Live {
  private readonly heard = new Set<Heard>()
  private readonly linked = new Set<() => void>()
  private lostAt: number | null = null

  /** Follows the NOC until the answer is called. */
  start(noc: Noc): () => void {
    return noc.listen({
      onStart: () => this.tell(null),
      onChanges: (changes) => this.tell(changes),
      onLink: (isUp) => {
        if (isUp === (this.lostAt === null)) return
        this.lostAt = isUp ? null : Math.floor(Date.now() / 1000)
        for (const listener of this.linked) listener()
      },
    })
  }

  /** `null` means that anything may have changed. */
  onChanges(listener: Heard): () => void {
    this.heard.add(listener)
    return () => this.heard.delete(listener)
  }

  /** Since when no events come; null while they do. For useSyncExternalStore. */
  readonly lost = (): number | null => this.lostAt

  readonly onLink = (listener: () => void): (() => void) => {
    this.linked.add(listener)
    return () => this.linked.delete(listener)
  }

  private tell(changes: Changes | null): void {
    for (const listener of this.heard) listener(changes)
  }
}

/** Calls the newest `listener` with whatever changes. */
export function useChanges(listener: Heard): void {
  const { live } = useFace()
  const latest = useRef(listener)
  latest.current = listener
  useEffect(() => live.onChanges((changes) => latest.current(changes)), [live])
}

export function useLost(): number | null {
  const { live } = useFace()
  return useSyncExternalStore(live.onLink, live.lost)
}
