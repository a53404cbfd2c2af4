// A day of beats as series for charts and as a short table.

import type { BeatView } from '../bindings.ts'

export interface Series {
  /** Stable name: `load`, `memory_percent`, `disk_percent` or a counter's. */
  name: string
  values: (number | null)[]
}

/** The time axis and one series a value; null where nothing was reported, so that a gap stays a gap. */
export function toSeries(beats: readonly BeatView[]): { at: number[]; series: Series[] } {
  const counters = [...new Set(beats.flatMap((beat) => Object.keys(beat.counters)))].sort()
  const gap = gapOf(beats)
  const at: number[] = []
  const rows: (BeatView | null)[] = []
  beats.forEach((beat, i) => {
    const before = beats[i - 1]
    if (before && beat.at - before.at > gap) {
      at.push(before.at + 1)
      rows.push(null)
    }
    at.push(beat.at)
    rows.push(beat)
  })
  const series: Series[] = (['load', 'memory_percent', 'disk_percent'] as const).map((name) => ({
    name,
    values: rows.map((beat) => (beat ? beat[name] : null)),
  }))
  for (const name of counters) series.push({ name, values: rows.map((beat) => beat?.counters[name] ?? null) })
  return { at, series }
}

export interface Bucket {
  from: number
  to: number
  beats: number
  /** Mean by series name. */
  mean: Record<string, number>
}

/** At most `limit` stretches of equal length with the mean of each value: what the charts show, for reading. */
export function toBuckets(beats: readonly BeatView[], limit: number): Bucket[] {
  const first = beats[0]
  const last = beats.at(-1)
  if (!first || !last) return []
  const length = STRETCHES.find((stretch) => (last.at - first.at) / stretch < limit) ?? 86_400
  const groups = new Map<number, BeatView[]>()
  for (const beat of beats) {
    const from = Math.floor(beat.at / length) * length
    const group = groups.get(from)
    if (group) group.push(beat)
    else groups.set(from, [beat])
  }
  return [...groups].map(([from, group]) => ({
    from,
    to: from + length,
    beats: group.length,
    mean: Object.fromEntries(
      toSeries(group).series.map(({ name, values }) => [name, meanOf(values)] as const),
    ),
  }))
}

const STRETCHES = [60, 300, 900, 1800, 3600, 7200] as const

function meanOf(values: readonly (number | null)[]): number {
  const known = values.filter((value) => value !== null)
  return known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length)
}

/** A pause this much longer than usual is a gap. */
function gapOf(beats: readonly BeatView[]): number {
  const steps = beats.slice(1).map((beat, i) => beat.at - (beats[i] as BeatView).at)
  const sorted = steps.sort((a, b) => a - b)
  return 3.5 * Math.max(1, sorted[Math.floor(sorted.length / 2)] ?? 1)
}
