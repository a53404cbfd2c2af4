import { expect, test } from 'vitest'
import { type Cell, runsOf } from './strip.ts'

test('cells of one kind are told together', () => {
  const cell = (start: number, state: Cell['state'], silent_s = 0): Cell => ({
    start,
    state,
    beats: 10,
    expected: 15,
    silent_s,
    maintenance_s: 0,
    noc_away_s: 0,
  })
  const cells = [
    cell(0, 'arrived'),
    cell(900, 'arrived'),
    cell(1800, 'missed_all', 500),
    cell(2700, 'arrived'),
  ]
  const runs = runsOf({ cell_s: 900, cells })
  expect(runs.map(({ start, end, state, beats, silent_s }) => [start, end, state, beats, silent_s])).toEqual([
    [0, 1800, 'arrived', 20, 0],
    [1800, 2700, 'missed_all', 10, 500],
    [2700, 3600, 'arrived', 10, 0],
  ])
  expect(cells[0]?.beats).toBe(10)
  expect(runsOf({ cell_s: 900, cells: [] })).toEqual([])
})
