import { expect, test } from 'vitest'
import type { EditedRow, Settings } from '../bindings.ts'
import { checkSettings, checkSheet, type Field, shownFields, type Taken } from './settings.ts'

const GOOD: Settings = {
  host_name: 'Mail-01',
  domain: 'example.net.',
  address: '192.0.2.10',
  netmask: '255.255.255.0',
  gateway: '192.0.2.1',
  dns1: '192.0.2.53',
  dns2: '',
  address6: '',
  gateway6: '',
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
  [{ address: '', address6: '2001:db8::10/64' }, 'address', 'missing'],
  [{ address6: '2001:db8::10' }, 'address6', 'bad_address'],
  [{ address6: '192.0.2.10/24' }, 'address6', 'bad_address'],
  [{ address6: '2001:db8::10/+64' }, 'address6', 'bad_address'],
  [{ address6: '2001:db8::10/128' }, 'address6', 'unusable_prefix'],
  [{ address6: '2001:db8::10/8' }, 'address6', 'unusable_prefix'],
  [{ address6: 'fe80::10/64' }, 'address6', 'unusable_address'],
  [{ address6: 'ff02::1/64' }, 'address6', 'unusable_address'],
  [{ address6: '::ffff:192.0.2.10/96' }, 'address6', 'unusable_address'],
  [{ address6: '2001:db8::/64' }, 'address6', 'edge_of_network'],
  [{ address6: '2001:db8::10/64', gateway6: '2001:db8:1::1' }, 'gateway6', 'gateway_outside_network'],
  [{ address6: '2001:db8::10/64', gateway6: '2001:db8::10' }, 'gateway6', 'gateway_is_self'],
  [{ address6: '2001:db8::10/64', gateway6: '192.0.2.1' }, 'gateway6', 'bad_address'],
  [{ address6: '2001:db8::10/64', gateway6: 'ff02::2' }, 'gateway6', 'unusable_address'],
  [{ gateway6: '2001:db8::1' }, 'gateway6', 'gateway6_without_address6'],
  [{ dns1: '2001:db8::g' }, 'dns1', 'bad_address'],
  [{ dns1: 'fe80::53' }, 'dns1', 'unusable_address'],
  [{ dns1: '::ffff:192.0.2.53' }, 'dns1', 'unusable_address'],
]

test('IPv6 beside IPv4 has no fault', () => {
  for (const part of [
    { address6: '2001:DB8:0:0::10/64', gateway6: '2001:db8::1', dns1: '2001:db8::53', dns2: '192.0.2.53' },
    { address6: ' fd00:1::1 / 48 ', gateway6: 'FE80::1' },
    { address6: '2001:db8::/127', gateway6: '2001:db8::1' },
  ])
    expect(checkSettings({ ...GOOD, ...part })).toEqual([])
})

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

test('IPv6 has columns where somebody has it, or asks for them', () => {
  const both = { ...GOOD, address6: '2001:db8::10/64' }
  expect(shownFields([GOOD, GOOD])).not.toContain('address6')
  expect(shownFields([GOOD, both])).toContain('gateway6')
  expect(shownFields([], true)).toContain('address6')
})

test('an IPv6 address is one, however it is written', () => {
  const rows = [
    row('A', { address6: '2001:db8::10/64' }),
    row('B', { host_name: 'b', address: '192.0.2.11', address6: '2001:DB8:0::0:10/64' }),
    row('C', { host_name: 'c', address: '192.0.2.12', address6: '2001:db8::11/64' }),
  ]
  const other: Taken = {
    uid: 'X',
    name: 'x',
    host_name: 'x',
    domain: 'd',
    address: '',
    address6: '2001:db8:0::11/64',
  }
  expect(checkSheet(rows, [other]).map(({ uid, field, code }) => [uid, field, code])).toEqual([
    ['A', 'address6', 'duplicate_address'],
    ['B', 'address6', 'duplicate_address'],
    ['C', 'address6', 'taken_address'],
  ])
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
