// What the engine pushed, kept as it came. The window decides nothing about it: a replay (`reset`, `whole`)
// replaces everything, so a missed event heals at the next one.

import type {
  AlertView,
  ApplianceRow,
  DiscoveryView,
  Event,
  JobItemView,
  JobView,
  MessageRow,
  NocLink,
  ProblemView,
  SiteView,
} from '../bindings.ts'

/** A job with its appliances by UID, in the engine's order. */
export interface Job extends Omit<JobView, 'items'> {
  items: ReadonlyMap<string, JobItemView>
}

/** What one batch did to the appliances; what a grid needs to follow without a rebuild. */
export interface RowChanges {
  reset: boolean
  added: ApplianceRow[]
  updated: ApplianceRow[]
  removed: ApplianceRow[]
}

export type StateGroup = 'unconfigured' | 'configured' | 'failed' | 'silent'
export const GROUPS: readonly StateGroup[] = ['unconfigured', 'configured', 'failed', 'silent']
export type Counts = Record<StateGroup | 'all', number>

export interface Snapshot {
  /** False until the first replay of appliances arrived. */
  ready: boolean
  discovery: DiscoveryView
  alerts: readonly AlertView[]
  /** What the NOC had this console do, newest first. */
  messages: readonly MessageRow[]
  /** Counts the changes of the sites' applets. */
  applets: number
  /** Why the NOC's last word about applets was not taken. */
  appletProblem: ProblemView | null
  jobs: readonly Job[]
  noc: NocLink
  sites: readonly SiteView[]
  counts: Counts
}

export class Fleet {
  private rows = new Map<string, ApplianceRow>()
  private jobs = new Map<number, Job>()
  private alerts = new Map<number, AlertView>()
  private snapshot: Snapshot = EMPTY
  private listeners = new Set<() => void>()
  private rowListeners = new Set<(changes: RowChanges) => void>()
  private navigateListeners = new Set<(uid: string | null) => void>()

  /** Applies one batch and tells every listener once. */
  apply(events: readonly Event[]): void {
    const changes = new ChangeSet()
    const next = { ...this.snapshot }
    for (const event of events) this.applyOne(event, next, changes)
    if (changes.any) {
      next.counts = count(this.rows.values())
      const summary = changes.finish()
      for (const listener of this.rowListeners) listener(summary)
    }
    this.snapshot = next
    for (const listener of this.listeners) listener()
  }

  appliances(): IterableIterator<ApplianceRow> {
    return this.rows.values()
  }

  appliance(uid: string): ApplianceRow | undefined {
    return this.rows.get(uid)
  }

  /** For useSyncExternalStore; the same object until something changes. */
  readonly current = (): Snapshot => this.snapshot

  readonly onChange = (listener: () => void): (() => void) => add(this.listeners, listener)

  onRows(listener: (changes: RowChanges) => void): () => void {
    return add(this.rowListeners, listener)
  }

  /** The administrator clicked a notification or the tray. */
  onNavigate(listener: (uid: string | null) => void): () => void {
    return add(this.navigateListeners, listener)
  }

  private applyOne(event: Event, next: Snapshot, changes: ChangeSet): void {
    switch (event.kind) {
      case 'appliances': {
        next.ready = true
        if (event.reset) {
          const kept = new Set(event.rows.map((row) => row.uid))
          for (const [uid, row] of this.rows) {
            if (!kept.has(uid)) {
              this.rows.delete(uid)
              changes.remove(row)
            }
          }
          changes.reset()
        }
        for (const row of event.rows) {
          changes.put(row, this.rows.has(row.uid))
          this.rows.set(row.uid, row)
        }
        return
      }
      case 'discovery':
        next.discovery = event.discovery
        return
      case 'job': {
        this.jobs.set(event.job.id, mergeJob(this.jobs.get(event.job.id), event.job, event.whole))
        next.jobs = [...this.jobs.values()].sort((a, b) => b.id - a.id)
        return
      }
      case 'alerts':
        if (event.reset) this.alerts.clear()
        for (const alert of event.alerts) this.alerts.set(alert.id, alert)
        next.alerts = [...this.alerts.values()].sort(openFirst)
        return
      case 'messages':
        next.messages = event.messages
        return
      case 'applets':
        next.applets = event.generation
        next.appletProblem = event.problem
        return
      case 'noc':
        next.noc = event.noc
        next.sites = event.sites
        return
      case 'navigate':
        for (const listener of this.navigateListeners) listener(event.uid)
        return
    }
  }
}

/** Changed items over what is there; a whole job replaces it. */
export function mergeJob(known: Job | undefined, job: JobView, whole: boolean): Job {
  const items = new Map(whole ? [] : known?.items)
  for (const item of job.items) items.set(item.uid, item)
  return { ...job, items }
}

/** Whether an appliance counts under a chip. A silent one is also configured: it counts under both. */
export function isIn(group: StateGroup, row: ApplianceRow): boolean {
  switch (group) {
    case 'unconfigured':
      return row.state === 'unconfigured' || row.state === 'unclaimed' || row.state === 'no_voucher'
    case 'configured':
      return row.state === 'configured'
    case 'failed':
      return row.state === 'failed'
    case 'silent':
      return row.health === 'silent' || row.health === 'unreachable'
  }
}

export function isRunning(job: Job): boolean {
  return job.finished === null
}

function count(rows: Iterable<ApplianceRow>): Counts {
  const counts: Counts = { all: 0, unconfigured: 0, configured: 0, failed: 0, silent: 0 }
  for (const row of rows) {
    counts.all++
    for (const group of GROUPS) if (isIn(group, row)) counts[group]++
  }
  return counts
}

function openFirst(a: AlertView, b: AlertView): number {
  if ((a.closed === null) !== (b.closed === null)) return a.closed === null ? -1 : 1
  return b.opened - a.opened || b.id - a.id
}

function add<T>(set: Set<T>, item: T): () => void {
  set.add(item)
  return () => set.delete(item)
}

/** Collects what a batch did, each appliance once and with its last value. */
class ChangeSet {
  private wasReset = false
  private puts = new Map<string, { row: ApplianceRow; isNew: boolean }>()
  private removed = new Map<string, ApplianceRow>()

  get any(): boolean {
    return this.wasReset || this.puts.size > 0 || this.removed.size > 0
  }

  reset(): void {
    this.wasReset = true
  }

  put(row: ApplianceRow, known: boolean): void {
    const earlier = this.puts.get(row.uid)
    const isNew = earlier ? earlier.isNew : !known && !this.removed.has(row.uid)
    this.removed.delete(row.uid)
    this.puts.set(row.uid, { row, isNew })
  }

  remove(row: ApplianceRow): void {
    const earlier = this.puts.get(row.uid)
    this.puts.delete(row.uid)
    if (!earlier?.isNew) this.removed.set(row.uid, row)
  }

  finish(): RowChanges {
    const puts = [...this.puts.values()]
    return {
      reset: this.wasReset,
      added: puts.filter((put) => put.isNew).map((put) => put.row),
      updated: puts.filter((put) => !put.isNew).map((put) => put.row),
      removed: [...this.removed.values()],
    }
  }
}

const EMPTY: Snapshot = {
  ready: false,
  discovery: {
    running: false,
    round: 0,
    found: 0,
    unheard: 0,
    seconds: 0,
    last_found: 0,
    pings: 0,
    receive_buffer: 0,
    interfaces: [],
    problem: null,
  },
  alerts: [],
  messages: [],
  applets: 0,
  appletProblem: null,
  jobs: [],
  noc: { kind: 'not_joined' },
  sites: [],
  counts: { all: 0, unconfigured: 0, configured: 0, failed: 0, silent: 0 },
}
