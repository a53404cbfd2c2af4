import { expect, test } from 'vitest'
import { bandOf, isCounter, namesOf, type Point, stepFor } from './history.ts'

const stat = (min: number, mean: number, max: number, last: number, increase?: number) => ({
  count: 5,
  min,
  mean,
  max,
  last,
  ...(increase === undefined ? {} : { increase }),
})

const point = (start: number, load: number, mails: number, increase: number): Point => ({
  start,
  beats: 5,
  host: { load: stat(load - 1, load, load + 1, load) },
  counters: { mails: stat(mails, mails, mails, mails, increase), queue: stat(1, 2, 3, start % 2, 1) },
})

test('a value is a band around its mean, and a gap stays a gap', () => {
  const points = [point(0, 2, 10, 0), point(300, 3, 20, 10), point(1500, 4, 25, 5)]
  const band = bandOf(points, 'load', 300, 'value')
  expect(band.at).toEqual([0, 300, 600, 1500])
  expect(band.mid).toEqual([2, 3, null, 4])
  expect(band.low).toEqual([1, 2, null, 3])
  expect(band.high).toEqual([3, 4, null, 5])
  expect(namesOf(points)).toEqual({ host: ['load'], counters: ['mails', 'queue'] })
  expect(bandOf(points, 'unknown', 300, 'value').at).toEqual([])
})

test('what only grows is told by how fast, also over a restart', () => {
  const points = [point(0, 1, 100, 0), point(300, 1, 110, 10), point(600, 1, 4, 4)]
  expect(bandOf(points, 'mails', 300, 'per_hour').mid).toEqual([0, 120, 48])
  expect(bandOf(points, 'mails', 300, 'per_day').mid).toEqual([0, 2880, 1152])
  const many = Array.from({ length: 100 }, (_, n) => point(n * 300, 1, n === 50 ? 0 : n, 1))
  expect([isCounter(many, 'mails'), isCounter(many, 'load'), isCounter([], 'mails')]).toEqual([
    true,
    false,
    false,
  ])
  const falling = Array.from({ length: 100 }, (_, n) => point(n * 300, 1, n % 2, 1))
  expect(isCounter(falling, 'mails')).toBe(false)
})

test('five minutes for what is short and recent, hours for the rest', () => {
  const now = 100 * 86_400
  expect(stepFor(now - 86_400, now, now).step).toBe(300)
  expect(stepFor(now - 7 * 86_400, now, now).step).toBe(3_600)
  // Five minutes are not kept for so long.
  expect(stepFor(now - 60 * 86_400, now - 59 * 86_400, now).step).toBe(3_600)
})
