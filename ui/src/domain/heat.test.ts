import { expect, test } from 'vitest'
import { cellAt, layOut, placeOf, step } from './heat.ts'

test('ten thousand cells fit on a page, and each is found where it is drawn', () => {
  const layout = layOut([10_000], 1100, 640)
  expect(layout.height).toBeLessThanOrEqual(640)
  expect(layout.pitch).toBeGreaterThanOrEqual(7)
  for (const counts of [[10_000], [3, 40, 500, 1], Array.from({ length: 200 }, (_, n) => (n % 60) + 1)]) {
    const all = counts.reduce((sum, count) => sum + count, 0)
    const found = layOut(counts, 900, 500)
    const seen = new Set<string>()
    for (let n = 0; n < all; n++) {
      const place = placeOf(found, n)
      if (!place) throw new Error(`${n} is nowhere`)
      expect(cellAt(found, place.x + 1, place.y + 1)).toBe(n)
      seen.add(`${place.x} ${place.y}`)
      expect(place.x + found.pitch).toBeLessThanOrEqual(900)
    }
    expect(seen.size).toBe(all)
    expect([placeOf(found, all), cellAt(found, -1, 30), cellAt(found, 5, 99_999)]).toEqual([null, null, null])
  }
})

test('keys lead along rows, down columns and on to the next group, and never out', () => {
  const layout = layOut([100, 7, 100], 900, 9_000)
  const { columns } = layout.blocks[0] ?? { columns: 0 }
  expect(step(layout, 0, 'ArrowRight')).toBe(1)
  expect(step(layout, 0, 'ArrowLeft')).toBe(0)
  expect(step(layout, 0, 'ArrowDown')).toBe(columns)
  expect(step(layout, columns, 'ArrowUp')).toBe(0)
  expect([step(layout, 99, 'ArrowRight'), step(layout, 0, 'PageDown'), step(layout, 107, 'PageUp')]).toEqual([
    100, 100, 100,
  ])
  expect([step(layout, 5, 'End'), step(layout, 5, 'Home'), step(layout, 206, 'ArrowDown')]).toEqual([
    206, 0, 206,
  ])
  let at = 0
  for (let n = 0; n < 60; n++) at = step(layout, at, 'ArrowDown') ?? 0
  expect(at).toBeGreaterThan(180)
  for (let n = 0; n < 60; n++) at = step(layout, at, 'ArrowUp') ?? 0
  expect(at).toBeLessThan(columns)
  expect([step(layout, 0, 'x'), step(layOut([], 900, 100), 0, 'ArrowUp')]).toEqual([null, null])
})
