// The NOC as a browser reaches it: JSON over HTTPS with a cookie that no script can read, and events as they happen.
// Whatever goes wrong becomes a `NocProblem`, never anything else.

import { t } from '@lingui/core/macro'
import type { BeatView, ProblemView, RowAlertKind, RowHealth } from '../bindings.ts'
import type { Listed } from '../domain/lists.ts'

export type { HealthRule, MaintenanceWindow, Monitoring } from './nocMonitoring.ts'

/** What is wrong with one value of a form. */
export interface Fault {
  field: string
  code: string
  message: string
}

/** What is wrong with one line of a file. */
export interface LineFault {
  /** From 1; 0 for the whole file. */
  line: number
  code: string
  message: string
}

export interface NocProblem extends ProblemView {
  /** The HTTP status; 0 when there was no answer. */
  status: number
  faults: Fault[]
  lines: LineFault[]
}

export interface RoleAt {
  organisation: number | null
  site: number | null
  role: Role
}
export type Role = 'viewer' | 'operator' | 'administrator'

export interface Operator {
  id: number
  organisation: number | null
  login: string
  name: string
  created: number
  disabled: number | null
  roles: RoleAt[]
}

export interface OwnSession {
  session: SessionView
  operator: Operator
  csrf: string
}

export interface SessionView {
  id: number
  operator: number
  /** In lists of sessions. */
  login?: string
  kind: 'cookie' | 'bearer'
  created: number
  used: number
  expires: number
  address: string
  program: string
}

export interface TokenView {
  id: number
  name: string
  scopes: string[]
  created: number
  used: number | null
  expires: number
}

export interface Organisation {
  id: number
  handle: string
  name: string
}

export type Policy = Record<string, string | number | null | string[]>
export interface SiteView {
  id: number
  organisation: number
  policy: Policy
}

/** What one place says; what is absent is left to the place above. */
export type PolicyValues = Record<string, string | number>
export interface Profile {
  model: string
  values: PolicyValues
}
export interface OrganisationPolicy {
  values: PolicyValues
  profiles: Profile[]
}

/** What a site's policy comes to for a model, or for all others. */
export interface EffectivePolicy {
  model?: string
  values: Record<string, { value: string; source: string }>
}

export interface ReservationSpec {
  uid: string
  mac: string
  serial: string
  address: string
  address6: string
  host_name: string
  note: string
}
export interface Reservation {
  id: number
  reservation: ReservationSpec
}

/** What an appliance has, and would get. */
export interface PreviewRow {
  uid: string
  serial: string
  model: string
  current: Settings | null
  settings: Settings | null
  rules: Record<string, string>
  changes: string[]
  problem: { code: string; title: string; detail: string } | null
}

export interface Settings extends Listed {
  host_name: string
  domain: string
  address: string
  netmask: string
  gateway: string
  dns1: string
  dns2: string
  address6?: string
  gateway6?: string
  application?: string
}

export type Health = RowHealth
export type Provisioning = 'known' | 'granted' | 'configured' | 'failed' | 'decommissioned' | 'replaced'
export const HEALTHS: readonly Health[] = [
  'well',
  'late',
  'silent',
  'recovering',
  'failing',
  'unreachable',
  'maintenance',
  'never_reported',
  'not_expected',
]
export const PROVISIONINGS: readonly Provisioning[] = [
  'known',
  'granted',
  'configured',
  'failed',
  'decommissioned',
  'replaced',
]

export interface Appliance {
  organisation: number
  uid: string
  mac: string
  serial: string
  model: string
  site: number | null
  settings: Settings | null
  provisioning: Provisioning
  health: Health
  last_beat: number | null
  beat: (Omit<BeatView, 'at'> & { drift?: string[]; network_problem?: string }) | null
}

export interface Alert {
  id: number
  organisation: number
  site: number
  kind: RowAlertKind
  /** The health rule that is broken, or empty. */
  rule: string
  appliances: string[]
  opened: number
  closed: number | null
  acknowledged: number | null
  acknowledged_by: string
  note: string
  silenced_until: number | null
  silenced_by: string
  silence_note: string
  escalated: number | null
}

export interface AlertEvent {
  id: number
  time: number
  what: 'opened' | 'attached' | 'acknowledged' | 'silenced' | 'unsilenced' | 'escalated' | 'resolved'
  actor: string
  who: string
  note: string
  until: number | null
  appliances: number
}

export type Target =
  | {
      kind: 'email'
      server: string
      port: number
      security: 'starttls' | 'tls' | 'none'
      user: string
      from: string
      to: string[]
      ca: string
    }
  | { kind: 'webhook'; url: string; ca: string }
  | { kind: 'alertmanager'; url: string; user: string; ca: string }

export interface Quiet {
  from: number
  to: number
  offset: number
}

export interface ChannelSpec {
  name: string
  target: Target
  sites: number[]
  kinds: Alert['kind'][]
  only_escalations: boolean
  quiet: Quiet | null
  enabled: boolean
}

export interface Channel {
  id: number
  organisation: number
  channel: ChannelSpec
  has_secret: boolean
  is_trusted: boolean
  state: {
    waiting: number
    given_up: number
    delivered: number | null
    tried: number | null
    outcome: string
    failing_since: number | null
    due: number | null
  }
}

export interface AddedChannel {
  channel: Channel
  secret: string | null
}

export interface Tested {
  is_delivered: boolean
  answer: string
  took_ms: number
}

export interface Console {
  id: number
  organisation: number
  name: string
  enrolled: number
  revoked: number | null
  sites: number[]
}

export type Standing = 'waiting' | 'fetched' | 'taken' | 'done' | 'failed' | 'expired' | 'cancelled'
export interface Message {
  console: number
  number: number
  name: string
  order: { kind: string; target?: { mac: string }; site?: number; settings?: Settings; filter?: string }
  issued: number
  expires: number
  fetched: number | null
  taken: number | null
  finished: number | null
  state: Standing
  code: string
  detail: string
  answer: string | null
}

export type DraftState = 'open' | 'applied' | 'discarded'
export type DraftRowState = 'proposed' | 'stale' | 'waiting' | 'given' | 'in_force' | 'failed' | 'overtaken'
export interface Draft {
  id: number
  sites: number[]
  title: string
  made: number
  made_by: string
  state: DraftState
  decided: number | null
  decided_by: string
  rows: Partial<Record<DraftRowState, number>>
}

export interface DraftRow {
  uid: string
  site: number | null
  serial: string
  model: string
  base: Settings
  wanted: Settings
  changes: string[]
  state: DraftRowState
  version: number | null
  reason: string
}

export interface Difference {
  lines: { column: string; before: string; after: string; appliances: number }[]
  /** Lines that were left out. */
  more: number
}

export interface Version {
  version: number
  seq: number
  site: number
  settings: Settings
  changes: string[]
  who: string
  why: string
  signed: number
  state: 'signed' | 'applied' | 'failed'
  is_in_force: boolean
  reason: string
  decided: number | null
}

export type Act = 'reboot' | 'send_log' | 'decommission'
export interface Instruction {
  serial: number
  act: Act
  issued: number
  expires: number
  given: number | null
  done: number | null
  problem: string
}

export interface ApplianceLog {
  taken: number
  text: string
}

export interface AuditRecord {
  seq: number
  time: number
  actor: string
  address: string
  organisation: number | null
  site: number | null
  action: string
  subject: string
  detail: string
}

export interface Page<T> {
  items: T[]
  next?: string
}

/** What was read, and its version for a change of it. */
export interface Versioned<T> {
  value: T
  tag: string
}

export interface Changes {
  appliances: Appliance[]
  kinds: string[]
}

export interface Listener {
  /** Whatever is shown must be read anew. */
  onStart(): void
  onChanges(changes: Changes): void
  /** Whether events come. */
  onLink(isUp: boolean): void
}

export interface Noc {
  signIn(login: string, password: string): Promise<OwnSession>
  /** Null when nobody is signed in. */
  own(): Promise<OwnSession | null>
  signOut(): Promise<void>
  /** Called when an answer says that the session is over. */
  onEnded: (() => void) | null
  get<T>(path: string, query?: Query): Promise<T>
  read<T>(path: string): Promise<Versioned<T>>
  post<T>(path: string, body: unknown): Promise<T>
  /** A change of what was read. */
  change<T>(method: 'PUT' | 'PATCH', path: string, tag: string, body: unknown): Promise<Versioned<T>>
  remove(path: string): Promise<void>
  /** Listens until the answer is called. */
  listen(listener: Listener): () => void
}

export type Query = Record<string, string | number | boolean | null | undefined>

/** How long until events are asked for again after they could not be had. */
const AGAIN_MS = 3_000

export function connect(): Noc {
  return new OverHttps()
}

class OverHttps implements Noc {
  onEnded: (() => void) | null = null
  private csrf = ''

  async signIn(login: string, password: string): Promise<OwnSession> {
    const proof = { method: 'password', login, password }
    const { value } = await this.call<OwnSession>('POST', '/v1/sessions', { body: { proof, kind: 'cookie' } })
    this.csrf = value.csrf
    return value
  }

  async own(): Promise<OwnSession | null> {
    try {
      const { value } = await this.call<OwnSession>('GET', '/v1/session')
      this.csrf = value.csrf
      return value
    } catch (reason) {
      if (toNocProblem(reason).status === 401) return null
      throw reason
    }
  }

  async signOut(): Promise<void> {
    try {
      await this.call('DELETE', '/v1/session')
    } catch (reason) {
      // It was over already.
      if (toNocProblem(reason).status !== 401) throw reason
    }
    this.csrf = ''
  }

  async get<T>(path: string, query: Query = {}): Promise<T> {
    const asked = Object.entries(query).filter(
      ([, value]) => value !== null && value !== undefined && value !== '',
    )
    const text = new URLSearchParams(asked.map(([name, value]) => [name, String(value)])).toString()
    const { value } = await this.signedIn<T>('GET', text ? `${path}?${text}` : path)
    return value
  }

  read<T>(path: string): Promise<Versioned<T>> {
    return this.signedIn<T>('GET', path)
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    // A request that is sent again, by whatever is in between, is carried out once.
    const { value } = await this.signedIn<T>('POST', path, { body, key: crypto.randomUUID() })
    return value
  }

  change<T>(method: 'PUT' | 'PATCH', path: string, tag: string, body: unknown): Promise<Versioned<T>> {
    return this.signedIn<T>(method, path, { body, tag })
  }

  async remove(path: string): Promise<void> {
    await this.signedIn('DELETE', path)
  }

  listen(listener: Listener): () => void {
    let source: EventSource | null = null
    let timer: ReturnType<typeof setTimeout> | undefined
    let isWanted = true
    const open = () => {
      source = new EventSource('/v1/events')
      source.addEventListener('start', () => {
        listener.onLink(true)
        listener.onStart()
      })
      source.addEventListener('changes', (event: MessageEvent<string>) => {
        listener.onLink(true)
        listener.onChanges(JSON.parse(event.data))
      })
      source.addEventListener('open', () => listener.onLink(true))
      source.addEventListener('error', () => {
        listener.onLink(false)
        // A browser asks again by itself after a cut, but not after a refusal.
        if (source?.readyState === EventSource.CLOSED) timer = setTimeout(refused, AGAIN_MS)
      })
    }
    const refused = async () => {
      if (!isWanted) return
      try {
        if ((await this.own()) === null) return this.onEnded?.()
      } catch {
        // Not reachable either: asked again below.
      }
      if (isWanted) open()
    }
    open()
    return () => {
      isWanted = false
      clearTimeout(timer)
      source?.close()
    }
  }

  /** A call of somebody who should be signed in. */
  private async signedIn<T>(method: string, path: string, more: More = {}): Promise<Versioned<T>> {
    try {
      return await this.call<T>(method, path, more)
    } catch (reason) {
      if (toNocProblem(reason).status === 401) this.onEnded?.()
      throw reason
    }
  }

  private async call<T>(method: string, path: string, { body, tag, key }: More = {}): Promise<Versioned<T>> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    if (method !== 'GET') headers['X-Muster-Csrf'] = this.csrf
    if (tag !== undefined) headers['If-Match'] = tag
    if (key !== undefined) headers['Idempotency-Key'] = key
    let answer: Response
    try {
      answer = await fetch(path, {
        method,
        headers,
        cache: 'no-store',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    } catch {
      throw unreachable()
    }
    const text = await answer.text().catch(() => '')
    if (!answer.ok) throw problemOf(answer.status, text)
    return { value: (text ? JSON.parse(text) : null) as T, tag: answer.headers.get('ETag') ?? '' }
  }
}

interface More {
  body?: unknown
  tag?: string
  key?: string
}

function unreachable(): NocProblem {
  const message = t`The NOC does not answer.`
  const remedy = t`Check the network. What you entered is still here: try again once the NOC is reachable.`
  return { code: 'noc_unreachable', message, remedy, status: 0, faults: [], lines: [] }
}

/** A refusal in the form of every refusal, or what stood in its place. */
function problemOf(status: number, text: string): NocProblem {
  try {
    const { code, title, detail, faults = [], lines = [] } = JSON.parse(text)
    return {
      code: String(code),
      message: sentence(String(title)),
      remedy: String(detail),
      status,
      faults,
      lines,
    }
  } catch {
    const message = t`The NOC answered with the status ${status}.`
    return {
      code: 'unexpected',
      message,
      remedy: t`Try again in a few seconds.`,
      status,
      faults: [],
      lines: [],
    }
  }
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}

/** Reads what a promise rejected with. */
export function toNocProblem(reason: unknown): NocProblem {
  if (typeof reason === 'object' && reason !== null && 'code' in reason && 'status' in reason)
    return reason as NocProblem
  const message = reason instanceof Error ? reason.message : String(reason)
  return { code: 'unexpected', message, remedy: '', status: 0, faults: [], lines: [] }
}
