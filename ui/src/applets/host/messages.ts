// What the window takes from an applet's frame, and what it answers. Everything is read as if an attacker had written it, also
// what the bridge says: a frame that was taken over speaks with its voice.

import { NotValues, toValues, type Values } from '../values.ts'

/** Characters of one message. */
export const LONGEST = 65_536
/** Characters of what an applet says in the wizard. */
export const LONGEST_SAID = 500
/** Characters of a UID as the console writes it, with room. */
const LONGEST_UID = 100

export type EndReason =
  | 'crashed'
  | 'drawing'
  | 'flood'
  | 'left'
  | 'message'
  | 'oversized'
  | 'silent'
  | 'start'
const REASONS: ReadonlySet<string> = new Set<EndReason>([
  'crashed',
  'drawing',
  'flood',
  'message',
  'oversized',
])

export type Ask =
  | { ask: 'appliances' }
  | { ask: 'parameters'; uid: string }
  | { ask: 'propose'; uid: string; values: Values }
  | { ask: 'validate'; values: Values }
  | { ask: 'say'; text: string }

export type FromFrame =
  | { kind: 'started' }
  | { kind: 'height'; height: number }
  | { kind: 'ended'; reason: EndReason; message: string }
  | { kind: 'pong'; number: number }
  | { kind: 'ask'; id: number; ask: Ask }
  /** An ask that cannot be answered otherwise than by saying what is wrong with it. */
  | { kind: 'refused'; id: number; message: string }
  | { kind: 'wrong' }
  | { kind: 'oversized' }

/** Total: anything gives one of the kinds. */
export function readMessage(data: unknown): FromFrame {
  if (typeof data !== 'string') return { kind: 'wrong' }
  if (data.length > LONGEST + 1) return { kind: 'oversized' }
  let message: unknown
  try {
    message = JSON.parse(data.slice(1))
  } catch {
    return { kind: 'wrong' }
  }
  if (typeof message !== 'object' || message === null) return { kind: 'wrong' }
  const fields = new Map<string, unknown>(Object.entries(message))
  if (data[0] === 'b') return ofBridge(fields)
  if (data[0] === 'w') return ofWorker(fields)
  return { kind: 'wrong' }
}

function ofBridge(fields: ReadonlyMap<string, unknown>): FromFrame {
  if (fields.get('started') === true) return { kind: 'started' }
  const height = fields.get('height')
  if (typeof height === 'number' && Number.isFinite(height)) return { kind: 'height', height }
  const ended = fields.get('ended')
  if (typeof ended === 'object' && ended !== null && 'reason' in ended && 'message' in ended)
    if (typeof ended.reason === 'string' && REASONS.has(ended.reason))
      return { kind: 'ended', reason: ended.reason as EndReason, message: tidy(ended.message) }
  return { kind: 'wrong' }
}

function ofWorker(fields: ReadonlyMap<string, unknown>): FromFrame {
  const pong = fields.get('pong')
  if (typeof pong === 'number') return { kind: 'pong', number: pong }
  const id = fields.get('id')
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) return { kind: 'wrong' }
  try {
    const ask = askOf(fields)
    return ask ? { kind: 'ask', id, ask } : { kind: 'refused', id, message: 'There is no such question.' }
  } catch (reason) {
    if (reason instanceof NotValues) return { kind: 'refused', id, message: reason.message }
    throw reason
  }
}

function askOf(fields: ReadonlyMap<string, unknown>): Ask | null {
  const ask = fields.get('ask')
  switch (ask) {
    case 'appliances':
      return { ask }
    case 'parameters':
      return { ask, uid: uidOf(fields) }
    case 'propose':
      return { ask, uid: uidOf(fields), values: toValues(fields.get('values')) }
    case 'validate':
      return { ask, values: toValues(fields.get('values')) }
    case 'say': {
      const text = fields.get('text')
      if (typeof text !== 'string') throw new NotValues('What is said is a text.')
      return { ask, text: tidy(text) }
    }
    default:
      return null
  }
}

function uidOf(fields: ReadonlyMap<string, unknown>): string {
  const uid = fields.get('uid')
  if (typeof uid !== 'string' || uid.length > LONGEST_UID) throw new NotValues('The UID is not a text.')
  return uid
}

/** A stranger's line: short, on one line, and nothing in it turns the reading direction of what follows. */
export function tidy(text: unknown): string {
  return (typeof text === 'string' ? text : '')
    .slice(0, LONGEST_SAID)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
}

/** Counts messages: `take` says whether one more is within the rate. */
export class Meter {
  private tokens: number
  private last: number
  private readonly burst: number
  private readonly rate: number

  /** At most `burst` at once, and `rate` more each second. `now` in milliseconds. */
  constructor(burst: number, rate: number, now: number) {
    this.burst = burst
    this.rate = rate
    this.tokens = burst
    this.last = now
  }

  take(now: number): boolean {
    this.tokens = Math.min(this.burst, this.tokens + (Math.max(0, now - this.last) / 1000) * this.rate)
    this.last = now
    if (this.tokens < 1) return false
    this.tokens -= 1
    return true
  }
}
