// Roll-ups of what an appliance measured, as series for charts.

export interface Stat {
  count: number
  min: number
  mean: number
  max: number
  last: number
  /** Of application values: by how much they grew, also over a restart. */
  increase?: number
}

export interface Point {
  start: number
  beats: number
  host: Record<string, Stat>
  counters: Record<string, Stat>
}

/** What is drawn of a value: what it was, or how fast it grew. */
export type Measure = 'value' | 'per_hour' | 'per_day'

export interface Band {
  at: number[]
  /** Null where nothing was reported, so that a gap stays a gap. */
  low: (number | null)[]
  mid: (number | null)[]
  high: (number | null)[]
}

export const HOST = ['load', 'memory_percent', 'disk_percent', 'temperature_c'] as const

/** Names of what was measured: of the machine, and of its applications. */
export function namesOf(points: readonly Point[]): { host: string[]; counters: string[] } {
  const counters = new Set(points.flatMap((point) => Object.keys(point.counters)))
  return {
    host: HOST.filter((name) => points.some((point) => point.host[name])),
    counters: [...counters].sort((a, b) => a.localeCompare(b)),
  }
}

const statOf = (point: Point, name: string) => point.host[name] ?? point.counters[name]

/** One value over time; `step`: seconds of a roll-up. */
export function bandOf(points: readonly Point[], name: string, step: number, measure: Measure): Band {
  const band: Band = { at: [], low: [], mid: [], high: [] }
  const push = (at: number, low: number | null, mid: number | null, high: number | null) => {
    band.at.push(at)
    band.low.push(low)
    band.mid.push(mid)
    band.high.push(high)
  }
  const unit = measure === 'per_day' ? 86_400 : 3_600
  let before: number | null = null
  for (const point of points) {
    const stat = statOf(point, name)
    if (!stat) continue
    if (before !== null && point.start - before > 1.5 * step) push(before + step, null, null, null)
    before = point.start
    if (measure === 'value') {
      push(point.start, stat.min, stat.mean, stat.max)
    } else {
      const rate = ((stat.increase ?? 0) * unit) / step
      push(point.start, rate, rate, rate)
    }
  }
  return band
}

/** Whether a value only ever grows, but for beginning anew now and then: then how fast is what matters. */
export function isCounter(points: readonly Point[], name: string): boolean {
  let falls = 0
  let before: number | null = null
  let grew = 0
  for (const point of points) {
    const stat = statOf(point, name)
    if (!stat) continue
    if (before !== null && stat.last < before) falls += 1
    before = stat.last
    grew += stat.increase ?? 0
  }
  return grew > 0 && falls <= points.length / 50
}

/** Roll-ups of hours for what five minutes would be too many of, and those that are kept for so long. */
export function stepFor(from: number, to: number, now: number): { step: number; resolution: string } {
  const isShort = to - from <= 3 * 86_400 && now - from <= 30 * 86_400
  return isShort ? { step: 300, resolution: 'five_minutes' } : { step: 3_600, resolution: 'hour' }
}
