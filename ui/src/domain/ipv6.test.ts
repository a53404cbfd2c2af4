import { expect, test } from 'vitest'
import { firstOf, formatIp6, isLinkLocal, isUnicast6, parseIp6, parseNetwork6 } from './ipv6.ts'

const ip = (text: string): bigint => {
  const value = parseIp6(text)
  if (value === null) throw new Error(text)
  return value
}

test('addresses are written the one way, however they were typed', () => {
  for (const [typed, written] of [
    ['2001:DB8:0:0:0:0:0:10', '2001:db8::10'],
    [' 2001:db8::0:10 ', '2001:db8::10'],
    ['::', '::'],
    ['::1', '::1'],
    ['fe80::', 'fe80::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:2:3:4:5:6:0:8', '1:2:3:4:5:6:0:8'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ] as const)
    expect(formatIp6(ip(typed)), typed).toBe(written)
})

test('what is no address is refused', () => {
  for (const text of [
    '',
    ':',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':::',
    '12345::',
    'g::',
    '1:2:3:4::5:6:7:8',
    '192.0.2.1',
    '1.2.3.4::',
    '::1.2.3',
    '::1.2.3.256',
    'fe80::1%eth0',
  ])
    expect(parseIp6(text), text).toBeNull()
})

test('a network has an address and a prefix', () => {
  expect(parseNetwork6('2001:db8::10/64')).toEqual({ address: ip('2001:db8::10'), prefix: 64 })
  for (const text of [
    '2001:db8::10',
    '2001:db8::10/',
    '2001:db8::10/129',
    '2001:db8::10/64/1',
    'x/64',
    '::1/+4',
  ])
    expect(parseNetwork6(text), text).toBeNull()
  expect(formatIp6(firstOf({ address: ip('2001:db8::1:10'), prefix: 64 }))).toBe('2001:db8::')
  expect(formatIp6(firstOf({ address: ip('2001:db8::11'), prefix: 127 }))).toBe('2001:db8::10')
  expect(firstOf({ address: ip('2001:db8::11'), prefix: 0 })).toBe(0n)
})

test('only unicast addresses belong to somebody, link-local ones to a link', () => {
  for (const text of ['::', '::1', 'ff02::1', '::ffff:192.0.2.1'])
    expect(isUnicast6(ip(text)), text).toBe(false)
  expect(isUnicast6(ip('2001:db8::1'))).toBe(true)
  expect([ip('fe80::1'), ip('febf::1'), ip('fec0::1')].map(isLinkLocal)).toEqual([true, true, false])
})
