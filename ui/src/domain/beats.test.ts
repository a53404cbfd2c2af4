import { expect, test } from 'vitest'
import type { BeatView } from '../bindings.ts'
import { toBuckets, toSeries } from './beats.ts'

const beat = (at: number, load: number, counters: Record<string, number> = {}): BeatView => ({
  at,
  uptime_s: at,
  load,
  memory_percent: 50,
  disk_percent: 10,
  drift: [],
  address_conflict: null,
  network_problem: null,
  counters,
  host: {
    agent: '0.1.0',
    agent_mib: null,
    disks: [],
    temperature_c: null,
    interface_errors: null,
    clock_offset_s: null,
  },
})

test('a pause becomes a gap, and a counter that came later begins later', () => {
  const { at, series } = toSeries([beat(60, 1), beat(120, 2), beat(180, 3), beat(900, 4, { mails: 7 })])
  expect(at).toEqual([60, 120, 180, 181, 900])
  expect(series.find((one) => one.name === 'load')?.values).toEqual([1, 2, 3, null, 4])
  expect(series.find((one) => one.name === 'mails')?.values).toEqual([null, null, null, null, 7])
})

test('no beats, one beat', () => {
  expect(toSeries([]).at).toEqual([])
  expect(toBuckets([], 10)).toEqual([])
  expect(toBuckets([beat(60, 1)], 10)).toHaveLength(1)
})

test('a day is told in few lines, with means', () => {
  const day = Array.from({ length: 1440 }, (_, i) => beat(i * 60, i % 2))
  const buckets = toBuckets(day, 60)
  expect(buckets.length).toBeLessThanOrEqual(60)
  expect(buckets.reduce((sum, bucket) => sum + bucket.beats, 0)).toBe(1440)
  expect(buckets[0]?.mean.load).toBeCloseTo(0.5)
})
