import { expect, test } from 'vitest'
import { clock, minutesOf, switchedAt } from './quiet.ts'

test('times of the day are typed and shown alike', () => {
  for (const minutes of [0, 59, 605, 1320, 1439]) expect(minutesOf(clock(minutes))).toBe(minutes)
  expect(clock(605)).toBe('10:05')
  expect(minutesOf('7:30')).toBe(450)
  for (const text of ['', '24:00', '12:60', 'noon', '12']) expect(minutesOf(text)).toBeNull()
})

test('do not disturb ends in an hour, or at eight in the morning', () => {
  const now = new Date(2026, 10, 30, 23, 30)
  expect(switchedAt('off', now)).toEqual({ kind: 'off' })
  expect(switchedAt('on', now)).toEqual({ kind: 'on' })
  expect(switchedAt('hour', now)).toEqual({ kind: 'until', at: now.getTime() / 1000 + 3600 })
  const morning = new Date(2026, 11, 1, 8).getTime() / 1000
  expect(switchedAt('tomorrow', now)).toEqual({ kind: 'until', at: morning })
})
