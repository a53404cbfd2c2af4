import { expect, test } from 'vitest'
import type { EditedRow } from '../bindings.ts'
import { NO_SETTINGS } from './settings.ts'
import { cleanPasted, fillDown, successor } from './sheet.ts'

const rows: EditedRow[] = ['A', 'B', 'C', 'D'].map((uid) => ({
  uid,
  settings: { ...NO_SETTINGS, host_name: 'mail-09', address: '192.0.2.254', domain: 'a.net' },
}))

test('names and addresses count on, everything else is copied', () => {
  expect(fillDown(rows, 'host_name', 0, 2).map((row) => row.settings.host_name)).toEqual([
    'mail-09',
    'mail-10',
    'mail-11',
    'mail-09',
  ])
  expect(fillDown(rows, 'address', 1, 3).map((row) => row.settings.address)).toEqual([
    '192.0.2.254',
    '192.0.2.254',
    '192.0.2.255',
    '192.0.3.0',
  ])
  const first = rows[0] as EditedRow
  const both = { ...first, settings: { ...first.settings, address6: '2001:db8::fe/64' } }
  expect(fillDown([both, ...rows.slice(1)], 'address6', 0, 2).map((row) => row.settings.address6)).toEqual([
    '2001:db8::fe/64',
    '2001:db8::ff/64',
    '2001:db8::100/64',
    '',
  ])
  const named = [{ ...first, settings: { ...first.settings, domain: 'b.net' } }, ...rows.slice(1)]
  expect(fillDown(named, 'domain', 0, 3).every((row) => row.settings.domain === 'b.net')).toBe(true)
})

test('what cannot be counted is copied, and nothing overflows', () => {
  expect(successor('host_name', 'gateway', 1)).toBeNull()
  expect(successor('address', '255.255.255.255', 1)).toBeNull()
  expect(successor('address', 'nonsense', 1)).toBeNull()
  expect(successor('address6', '2001:db8::1', 1)).toBeNull()
  expect(successor('address6', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/64', 1)).toBeNull()
  expect(fillDown(rows, 'gateway', 0, 3).map((row) => row.settings.gateway)).toEqual(['', '', '', ''])
})

test('pasted cells lose what spreadsheets add', () => {
  expect(cleanPasted(' "192.0.2.1"\r\n')).toBe('192.0.2.1')
  expect(cleanPasted("'192.0.2.1")).toBe('192.0.2.1')
  expect(cleanPasted('a\u00a0b')).toBe('a b')
  expect(cleanPasted('"say ""hi"""')).toBe('say "hi"')
  expect(cleanPasted('x'.repeat(5000))).toHaveLength(255)
})
