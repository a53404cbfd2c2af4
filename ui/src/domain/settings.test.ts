import { expect, test } from 'vitest'
import type { EditedRow, Settings } from '../bindings.ts'
import { checkSettings, checkSheet, type Field, type Taken } from './settings.ts'

const GOOD: Settings = {
  host_name: 'Mail-01',
  domain: 'example.net.',
  address: '192.0.2.10',
  netmask: '255.255.255.0',
  gateway: '192.0.2.1',
  dns1: '192.0.2.53',
  dns2: '',
}

test('good settings have no fault', () => {
  expect(checkSettings(GOOD)).toEqual([])
})

// The cases of protocol/src/parameters.rs: both sides must name the same fault at the same cell.
const CASES: [Partial<Settings>, Field, string][] = [
  [{ host_name: '' }, 'host_name', 'missing'],
  [{ host_name: 'a.b' }, 'host_name', 'bad_host_name'],
  [{ host_name: '-a' }, 'host_name', 'bad_host_name'],
  [{ domain: 'a..b' }, 'domain', 'bad_domain'],
  [{ address: '192.0.2' }, 'address', 'bad_address'],
  [{ address: '127.0.0.1' }, 'address', 'unusable_address'],
  [{ address: '192.0.2.255' }, 'address', 'edge_of_network'],
  [{ netmask: '255.0.255.0' }, 'netmask', 'bad_netmask'],
  [{ netmask: '/31' }, 'netmask', 'unusable_netmask'],
  [{ gateway: '198.51.100.1' }, 'gateway', 'gateway_outside_network'],
  [{ gateway: '192.0.2.10' }, 'gateway', 'gateway_is_self'],
  [{ dns1: '', dns2: '192.0.2.54' }, 'dns2', 'dns2_without_dns1'],
]

test.each(CASES)('%j is a fault of %s: %s', (part, field, code) => {
  expect(checkSettings({ ...GOOD, ...part }).map((fault) => [fault.field, fault.code])).toEqual([
    [field, code],
  ])
})

test('every message names what was typed, shortened and without control characters', () => {
  const [fault] = checkSettings({ ...GOOD, host_name: `a\u001b[2J${'x'.repeat(500)}` })
  expect(fault?.message).toContain('a�[2J')
  expect(fault?.message.length).toBeLessThan(200)
})

const row = (uid: string, part: Partial<Settings> = {}): EditedRow => ({
  uid,
  settings: { ...GOOD, ...part },
})

test('an address or a name given twice is named at each of its rows', () => {
  const errors = checkSheet(
    [row('A'), row('B', { host_name: 'mail-02' }), row('C', { host_name: 'MAIL-01', address: '192.0.2.11' })],
    [],
  )
  expect(errors.map(({ uid, code }) => [uid, code])).toEqual([
    ['A', 'duplicate_address'],
    ['B', 'duplicate_address'],
    ['A', 'duplicate_host_name'],
    ['C', 'duplicate_host_name'],
  ])
})

test('what another appliance has is taken, unless that one is in the sheet itself', () => {
  const other: Taken = {
    uid: 'B',
    name: 'mail-02',
    host_name: 'mail-02',
    domain: 'example.net',
    address: '192.0.2.10',
  }
  expect(checkSheet([row('A')], [other]).map((error) => [error.field, error.code])).toEqual([
    ['address', 'taken_address'],
  ])
  const swapped = [row('A'), row('B', { host_name: 'mail-02', address: '192.0.2.11' })]
  expect(checkSheet(swapped, [other])).toEqual([])
})

test('ten thousand rows are checked in well under a second', () => {
  const rows = Array.from({ length: 10_000 }, (_, i) =>
    row(String(i), {
      host_name: `n-${i}`,
      address: `10.0.${i >> 8}.${i & 255}`,
      netmask: '/8',
      gateway: '10.255.0.1',
    }),
  )
  const begin = performance.now()
  // 10.0.0.0 is the network's own address.
  expect(checkSheet(rows, [])).toHaveLength(1)
  expect(performance.now() - begin).toBeLessThan(2000)
})
