import { expect, test } from 'vitest'
import { relative, span } from './time.ts'

test('moments are told in the largest unit that fits', () => {
  expect(relative(100, 104, 'en')).toBe('4s ago')
  expect(relative(104, 104, 'en')).toBe('0s ago')
  expect(relative(0, 119, 'en')).toBe('1m ago')
  expect(relative(0, 7300, 'en')).toBe('2h ago')
  expect(relative(0, 200_000, 'en')).toBe('2d ago')
})

test('spans have two units at most', () => {
  expect(span(5, 'en')).toBe('5s')
  expect(span(3600, 'en')).toBe('1h')
  expect(span(100_000, 'en')).toBe('1d 3h')
  expect(span(0, 'en')).toBe('0s')
})
