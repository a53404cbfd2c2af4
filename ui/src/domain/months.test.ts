import { expect, test } from 'vitest'
import { clockSpan, monthName, monthOf, monthsUntil } from './months.ts'

test('months are of UTC, and follow each other over the turn of a year', () => {
  const newYear = Date.UTC(2026, 0, 1) / 1000
  expect(monthOf(newYear - 1)).toBe('2025-12')
  expect(monthsUntil(newYear, 3)).toEqual(['2026-01', '2025-12', '2025-11'])
  // The day does not exist in the month before.
  expect(monthsUntil(Date.UTC(2026, 2, 31) / 1000, 2)).toEqual(['2026-03', '2026-02'])
  expect(monthName('2026-11', 'en')).toBe('November 2026')
})

test('times are shown to the second', () => {
  expect([0, 59, 3_600, 93_850].map(clockSpan)).toEqual(['0:00:00', '0:00:59', '1:00:00', '26:04:10'])
})
