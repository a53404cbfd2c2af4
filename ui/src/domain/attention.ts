// Which alerts need somebody: the same rules as the tray's.

import type { AlertView, RowAlertKind } from '../bindings.ts'

/** Open, and nobody has acknowledged or silenced it. */
export function needsSomebody(alert: AlertView): boolean {
  return alert.closed === null && alert.acknowledged === null && alert.silenced_until === null
}

export interface Counts {
  failing: number
  acknowledged: number
  silenced: number
}

/** Appliances with an open alert. One with several counts once, where most has to be done. */
export function countAttention(alerts: readonly AlertView[]): Counts {
  const failing = new Set<string>()
  const acknowledged = new Set<string>()
  const silenced = new Set<string>()
  for (const alert of alerts) {
    if (alert.closed !== null) continue
    const set = needsSomebody(alert) ? failing : alert.acknowledged !== null ? acknowledged : silenced
    for (const { uid } of alert.appliances) set.add(uid)
  }
  for (const uid of failing) acknowledged.delete(uid)
  for (const set of [failing, acknowledged]) for (const uid of set) silenced.delete(uid)
  return { failing: failing.size, acknowledged: acknowledged.size, silenced: silenced.size }
}

const RANK: Record<RowAlertKind, number> = { site: 0, silent: 1, never_reported: 1, failing: 2, unstable: 3 }

/** Those that need somebody: the worst first, and of those the newest. */
export function mostUrgent(alerts: readonly AlertView[]): AlertView[] {
  return alerts
    .filter(needsSomebody)
    .sort(
      (a, b) =>
        Number(a.escalated === null) - Number(b.escalated === null) ||
        RANK[a.kind] - RANK[b.kind] ||
        b.opened - a.opened ||
        a.id - b.id,
    )
}
