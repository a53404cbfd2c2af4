import { expect, test } from 'vitest'
import { broadcastOf, formatIp, isUnicast, networkOf, parseIp, parseNetmask } from './ipv4.ts'

test('addresses read back what they print, also the highest', () => {
  for (const text of ['0.0.0.0', '10.20.0.1', '192.0.2.255', '255.255.255.255'])
    expect(formatIp(parseIp(text) ?? -1)).toBe(text)
})

test('what is no address is refused', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.x',
    '1..2.3',
    ' ',
    '-1.2.3.4',
  ])
    expect(parseIp(text), text).toBeNull()
})

test('netmasks are read in each usual form', () => {
  expect(parseNetmask('255.255.255.0')).toBe(24)
  expect(parseNetmask('/16')).toBe(16)
  expect(parseNetmask('30')).toBe(30)
  for (const text of ['255.0.255.0', '/33', '24.', 'x', '0.0.0.255'])
    expect(parseNetmask(text), text).toBeNull()
})

test('network and broadcast are right above 2^31 too', () => {
  const ip = parseIp('192.0.2.77') as number
  expect(formatIp(networkOf(ip, 24))).toBe('192.0.2.0')
  expect(formatIp(broadcastOf(ip, 24))).toBe('192.0.2.255')
  expect(formatIp(broadcastOf(ip, 30))).toBe('192.0.2.79')
})

test('only unicast addresses belong to somebody', () => {
  expect(isUnicast(parseIp('10.0.0.1') as number)).toBe(true)
  for (const text of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '239.1.1.1', '255.255.255.255'])
    expect(isUnicast(parseIp(text) as number), text).toBe(false)
})
