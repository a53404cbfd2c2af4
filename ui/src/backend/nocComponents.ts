// Components at the NOC: what is required, what runs where, and how far roll-outs are.

/** What one place says of one component. */
export interface RequiredComponent {
  name: string
  model?: string
  channel?: 'stable' | 'test'
  version?: string
  waves?: { waves: string[]; soak_s: number; halt_at: string; within_s: number }
}

export interface ComponentPolicy {
  required?: RequiredComponent[]
  bytes_per_s?: number
}

export type ComponentState =
  | 'installed'
  | 'waiting'
  | 'downloading'
  | 'installing'
  | 'failed'
  | 'unreported'
  | 'unavailable'
  | 'extra'

export interface ComponentStanding {
  name: string
  version: string | null
  state: ComponentState
  running: string | null
  percent: number | null
  problem: string | null
}

export interface ApplianceComponents {
  uid: string
  organisation: number
  site: number | null
  model: string
  components: ComponentStanding[]
}

export type RolloutState = 'running' | 'halted' | 'done' | 'back' | 'replaced'

export interface RolloutWave {
  /** `25` appliances, or `10%` of them. */
  reaches: string
  begun: boolean
  waiting: number
  well: number
  failed: number
  excused: number
  absent: number
}

export interface Rollout {
  id: number
  organisation: number
  site: number | null
  name: string
  model: string | null
  version: string
  former: string | null
  state: RolloutState
  /** It decides who has which version. */
  in_force: boolean
  why: string
  wave: number
  waves: RolloutWave[]
  failures: { uid: string; why: string }[]
  soak_s: number
  halt_at: string
  within_s: number
  started: number
  started_by: string
  begun: number | null
  next: number | null
  ended: number | null
}
