// Reading from the NOC: one thing, or a list that goes on. Both read anew when the NOC says that it changed.

import { useCallback, useEffect, useRef, useState } from 'react'
import { type Changes, type NocProblem, type Page, toNocProblem } from '../backend/noc.ts'
import { useChanges } from './live.ts'

/** Changes that come close together are read once. */
const SETTLE_MS = 200
/** Rows of one step of a list, and most in one answer. */
const STEP = 200
const MOST = 1_000

export interface Loaded<T> {
  /** Null until the first answer. */
  value: T | null
  problem: NocProblem | null
  reload: () => void
}

/** Reads something, and again when something of these kinds changes. `load` must keep its identity while it asks the same. */
export function useLoaded<T>(load: () => Promise<T>, concerns: (changes: Changes) => boolean): Loaded<T> {
  const [state, setState] = useState<{ of: unknown; value: T | null; problem: NocProblem | null }>(NOTHING)
  const asked = useRef(0)
  const isLoading = useRef(false)
  const isWanted = useRef(false)
  const again = useRef(() => {})
  const reload = useCallback(() => {
    asked.current += 1
    const mine = asked.current
    isLoading.current = true
    isWanted.current = false
    load()
      .then(
        (value) => mine === asked.current && setState({ of: load, value, problem: null }),
        (reason: unknown) =>
          mine === asked.current &&
          setState((before) => ({
            of: load,
            value: before.of === load ? before.value : null,
            problem: toNocProblem(reason),
          })),
      )
      .finally(() => {
        if (mine !== asked.current) return
        isLoading.current = false
        if (isWanted.current) again.current()
      })
  }, [load])
  useEffect(reload, [reload])
  // As with lists: an answer that is on its way is awaited.
  const settled = useSettled(() => {
    if (isLoading.current) isWanted.current = true
    else reload()
  })
  again.current = settled
  useChanges((changes) => {
    if (changes === null || concerns(changes)) settled()
  })
  useEffect(
    () => () => {
      asked.current += 1
    },
    [],
  )
  const isOf = state.of === load
  return { value: isOf ? state.value : null, problem: isOf ? state.problem : null, reload }
}

const NOTHING = { of: null, value: null, problem: null }

/** Whether something of these kinds changed, in the words of the audit log's subjects. */
export function kinds(...wanted: string[]): (changes: Changes) => boolean {
  return (changes) => changes.kinds.some((kind) => wanted.includes(kind))
}

export interface Listed<T> {
  rows: readonly T[]
  /** False until the first page is there. */
  isReady: boolean
  hasMore: boolean
  problem: NocProblem | null
  more: () => void
  /** Reads anew as much as is shown, soon. */
  refresh: () => void
  /** Puts changed rows in place. */
  patch: (change: (rows: readonly T[]) => readonly T[]) => void
}

interface List<T> {
  of: unknown
  rows: readonly T[]
  next: string | null
  isReady: boolean
  problem: NocProblem | null
}

/** Reads a list page by page. `load` must keep its identity while it asks the same. */
export function useList<T>(load: (after: string | null, limit: number) => Promise<Page<T>>): Listed<T> {
  const [list, setList] = useState<List<T>>({ of: null, rows: [], next: null, isReady: false, problem: null })
  const asked = useRef(0)
  const isLoading = useRef(false)
  const isWanted = useRef(false)
  const again = useRef(() => {})
  const latest = useRef(list)
  latest.current = list

  const ended = useCallback(() => {
    isLoading.current = false
    if (!isWanted.current) return
    isWanted.current = false
    again.current()
  }, [])

  const readAnew = useCallback(() => {
    asked.current += 1
    const mine = asked.current
    isLoading.current = true
    isWanted.current = false
    const { of, rows } = latest.current
    const limit = Math.min(MOST, Math.max(STEP, of === load ? rows.length : 0))
    load(null, limit)
      .then(
        ({ items, next = null }) =>
          mine === asked.current && setList({ of: load, rows: items, next, isReady: true, problem: null }),
        (reason: unknown) =>
          mine === asked.current &&
          setList((before) => ({
            ...(before.of === load ? before : { rows: [], next: null, isReady: false }),
            of: load,
            problem: toNocProblem(reason),
          })),
      )
      .finally(() => {
        if (mine === asked.current) ended()
      })
  }, [load, ended])

  const more = useCallback(() => {
    const { of, next } = latest.current
    if (isLoading.current || of !== load || next === null) return
    asked.current += 1
    const mine = asked.current
    isLoading.current = true
    load(next, STEP)
      .then(
        (page) =>
          mine === asked.current &&
          setList((before) => ({
            ...before,
            rows: [...before.rows, ...page.items],
            next: page.next ?? null,
            problem: null,
          })),
        (reason: unknown) =>
          mine === asked.current && setList((before) => ({ ...before, problem: toNocProblem(reason) })),
      )
      .finally(() => {
        if (mine === asked.current) ended()
      })
  }, [load, ended])

  const patch = useCallback((change: (rows: readonly T[]) => readonly T[]) => {
    setList((before) => ({ ...before, rows: change(before.rows) }))
  }, [])

  useEffect(readAnew, [readAnew])
  useEffect(
    () => () => {
      asked.current += 1
    },
    [],
  )
  // While something changes all the time, an answer that is on its way is awaited: given up for the next, none would ever be shown.
  const refresh = useSettled(() => {
    if (isLoading.current) isWanted.current = true
    else readAnew()
  })
  again.current = refresh
  const isOf = list.of === load
  return {
    rows: isOf ? list.rows : NO_ROWS,
    isReady: isOf && list.isReady,
    hasMore: isOf && list.next !== null,
    problem: isOf ? list.problem : null,
    more,
    refresh,
    patch,
  }
}

const NO_ROWS: readonly never[] = []

/** `useList`, read anew when something of these kinds changes. */
export function useLiveList<T>(
  load: (after: string | null, limit: number) => Promise<Page<T>>,
  concerns: (changes: Changes) => boolean,
): Listed<T> {
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || concerns(changes)) list.refresh()
  })
  return list
}

/** Calls once, a moment after the last of several calls that come together; and not at all after the page has gone. */
function useSettled(call: () => void): () => void {
  const latest = useRef(call)
  latest.current = call
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current)
    },
    [],
  )
  return useCallback(() => {
    if (timer.current !== null) return
    timer.current = setTimeout(() => {
      timer.current = null
      latest.current()
    }, SETTLE_MS)
  }, [])
}
