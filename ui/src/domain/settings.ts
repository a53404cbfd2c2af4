// The checks that need nothing but the sheet and what discovery heard, for an answer while typing. They follow
// protocol/src/parameters.rs and use its codes; the engine and the NOC check again.

import { plural, t } from '@lingui/core/macro'
import type { CellError, EditedRow, Settings } from '../bindings.ts'
import { broadcastOf, formatIp, isUnicast, networkOf, parseIp, parseNetmask } from './ipv4.ts'
import { formatIp6, parseNetwork6 } from './ipv6.ts'
import type { Listed } from './lists.ts'
import { checkIpv6, checkServer6 } from './settings6.ts'
import { shown } from './shown.ts'

/** What an appliance's network has; lists and its application's settings are no columns of the sheet. */
export type Field = Exclude<keyof Settings, keyof Listed | 'application'>
export const FIELDS: readonly Field[] = [
  'host_name',
  'domain',
  'address',
  'netmask',
  'gateway',
  'dns1',
  'dns2',
  'address6',
  'gateway6',
]

const IPV6: readonly Field[] = ['address6', 'gateway6']

/** The settings that are worth a column: those of IPv6 only where somebody has them. */
export function shownFields(all: Iterable<Settings>, withIpv6 = false): readonly Field[] {
  if (withIpv6) return FIELDS
  for (const settings of all) if (settings.address6 || settings.gateway6) return FIELDS
  return FIELDS.filter((field) => !IPV6.includes(field))
}

export interface Fault {
  field: Field
  code: string
  message: string
}

/** Settings that another appliance has, by the uid it must not be counted against. */
export interface Taken {
  uid: string
  name: string
  host_name: string
  domain: string
  address: string
  address6?: string
}

/** Everything wrong with one appliance's settings. */
export function checkSettings(settings: Settings): Fault[] {
  const faults: Fault[] = []
  const report = (field: Field, code: string, message: string) => faults.push({ field, code, message })
  checkNames(settings, report)
  const address = checkAddress(settings, report)
  const prefix = checkNetmask(settings.netmask, report)
  const gateway = settings.gateway.trim() ? checkIp('gateway', settings.gateway, report) : null
  if (settings.dns1.trim()) checkServer('dns1', settings.dns1, report)
  if (settings.dns2.trim()) {
    checkServer('dns2', settings.dns2, report)
    if (!settings.dns1.trim())
      report('dns2', 'dns2_without_dns1', t`A secondary name server needs a primary one: fill DNS 1 first.`)
  }
  checkIpv6(settings, report)
  if (address !== null && prefix !== null) checkNetwork(address, prefix, gateway, report)
  return faults
}

/** Everything wrong with a sheet: each row, rows against each other, and rows against what others already have. */
export function checkSheet(rows: readonly EditedRow[], taken: Iterable<Taken>): CellError[] {
  const errors: CellError[] = []
  for (const row of rows)
    for (const fault of checkSettings(row.settings)) errors.push({ uid: row.uid, ...fault })
  errors.push(...duplicates(rows, 'address', 'duplicate_address', addressKey))
  errors.push(...duplicates(rows, 'address6', 'duplicate_address', address6Key))
  errors.push(...duplicates(rows, 'host_name', 'duplicate_host_name', nameKey))
  errors.push(...conflicts(rows, taken))
  return errors
}

export type Report = (field: Field, code: string, message: string) => void

function checkNames(settings: Settings, report: Report): void {
  const hostName = settings.host_name.trim()
  if (!hostName) report('host_name', 'missing', t`The host name is missing.`)
  else if (!isLabel(hostName))
    report(
      'host_name',
      'bad_host_name',
      t`“${shown(hostName)}” is not a host name: use 1 to 63 letters, digits and dashes, no dash first or last, no dots.`,
    )
  const domain = settings.domain.trim().replace(/\.+$/, '')
  if (!domain) report('domain', 'missing', t`The domain is missing.`)
  else if (domain.length > 190 || !domain.split('.').every(isLabel))
    report('domain', 'bad_domain', t`“${shown(domain)}” is not a domain: use labels like example.net.`)
}

function checkAddress(settings: Settings, report: Report): number | null {
  if (settings.address.trim() || !settings.address6.trim())
    return checkIp('address', settings.address, report)
  report('address', 'missing', t`The IPv4 address is missing: IPv6 comes beside it, not in its place.`)
  return null
}

function checkServer(field: Field, text: string, report: Report): void {
  if (text.includes(':')) checkServer6(field, text, report)
  else checkIp(field, text, report)
}

function checkIp(field: Field, text: string, report: Report): number | null {
  if (!text.trim()) {
    report(field, 'missing', t`The IP address is missing.`)
    return null
  }
  const ip = parseIp(text)
  if (ip === null) {
    report(
      field,
      'bad_address',
      t`“${shown(text)}” is not an IPv4 address: use four numbers like 192.0.2.10.`,
    )
    return null
  }
  if (isUnicast(ip)) return ip
  report(field, 'unusable_address', t`${formatIp(ip)} cannot be used here: choose a unicast address.`)
  return null
}

function checkNetmask(text: string, report: Report): number | null {
  if (!text.trim()) {
    report('netmask', 'missing', t`The netmask is missing.`)
    return null
  }
  const prefix = parseNetmask(text)
  if (prefix === null)
    report('netmask', 'bad_netmask', t`“${shown(text)}” is not a netmask: use 255.255.255.0 or /24.`)
  else if (prefix >= 8 && prefix <= 30) return prefix
  else
    report('netmask', 'unusable_netmask', t`/${prefix} is not usable here: choose a netmask from /8 to /30.`)
  return null
}

function checkNetwork(address: number, prefix: number, gateway: number | null, report: Report): void {
  const network = networkOf(address, prefix)
  const broadcast = broadcastOf(address, prefix)
  const name = `${formatIp(network)}/${prefix}`
  const isEdge = (ip: number) => ip === network || ip === broadcast
  if (isEdge(address))
    report(
      'address',
      'edge_of_network',
      t`${formatIp(address)} is the network or broadcast address of ${name}: choose a host address.`,
    )
  if (gateway === null) return
  const shownGateway = formatIp(gateway)
  if (networkOf(gateway, prefix) !== network)
    report(
      'gateway',
      'gateway_outside_network',
      t`The gateway ${shownGateway} is outside the network ${name}: the appliance could not reach it.`,
    )
  else if (isEdge(gateway))
    report(
      'gateway',
      'edge_of_network',
      t`${shownGateway} is the network or broadcast address of ${name}: it cannot be a gateway.`,
    )
  else if (gateway === address)
    report(
      'gateway',
      'gateway_is_self',
      t`${shownGateway} is the appliance's own address: it cannot be its gateway.`,
    )
}

type Key = (settings: Settings) => string | null

function addressKey(settings: Settings): string | null {
  const ip = parseIp(settings.address)
  return ip === null ? null : formatIp(ip)
}

function address6Key(settings: Settings): string | null {
  const network = parseNetwork6(settings.address6)
  return network ? formatIp6(network.address) : null
}

function nameKey(settings: Settings): string | null {
  const hostName = settings.host_name.trim().toLowerCase()
  const domain = settings.domain.trim().replace(/\.+$/, '').toLowerCase()
  return hostName ? `${hostName}.${domain}` : null
}

function duplicates(rows: readonly EditedRow[], field: Field, code: string, keyOf: Key): CellError[] {
  const byKey = new Map<string, EditedRow[]>()
  for (const row of rows) {
    const key = keyOf(row.settings)
    if (key === null) continue
    const same = byKey.get(key)
    if (same) same.push(row)
    else byKey.set(key, [row])
  }
  const errors: CellError[] = []
  for (const [key, same] of byKey) {
    if (same.length < 2) continue
    const others = same.length - 1
    for (const row of same) {
      const message =
        field !== 'host_name'
          ? t`${key} is given to ${plural(others, { one: '# other row', other: '# other rows' })} of this sheet: each appliance needs its own.`
          : t`${key} is the name of ${plural(others, { one: '# other row', other: '# other rows' })} of this sheet: each appliance needs its own.`
      errors.push({ uid: row.uid, field, code, message })
    }
  }
  return errors
}

function conflicts(rows: readonly EditedRow[], taken: Iterable<Taken>): CellError[] {
  const addresses = new Map<string, Taken>()
  const addresses6 = new Map<string, Taken>()
  const names = new Map<string, Taken>()
  const inSheet = new Set(rows.map((row) => row.uid))
  for (const other of taken) {
    // What another row of the sheet has now does not count: it is about to change.
    if (inSheet.has(other.uid)) continue
    const settings = { ...NO_SETTINGS, ...other }
    const address = addressKey(settings)
    if (address) addresses.set(address, other)
    const address6 = address6Key(settings)
    if (address6) addresses6.set(address6, other)
    const name = nameKey(settings)
    if (name) names.set(name, other)
  }
  const errors: CellError[] = []
  for (const { uid, settings } of rows) {
    for (const [field, address, holders] of [
      ['address', addressKey(settings), addresses],
      ['address6', address6Key(settings), addresses6],
    ] as const) {
      const holder = address !== null && holders.get(address)
      if (holder)
        errors.push({
          uid,
          field,
          code: 'taken_address',
          message: t`${address} is already used by ${holder.name}: choose another.`,
        })
    }
    const name = nameKey(settings)
    const hasName = name !== null && names.get(name)
    if (hasName)
      errors.push({
        uid,
        field: 'host_name',
        code: 'taken_host_name',
        message: t`${name} is already the name of ${hasName.name}: choose another.`,
      })
  }
  return errors
}

function isLabel(text: string): boolean {
  return text.length <= 63 && /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/.test(text)
}

export const NO_SETTINGS: Settings = {
  host_name: '',
  domain: '',
  address: '',
  netmask: '',
  gateway: '',
  dns1: '',
  dns2: '',
  address6: '',
  gateway6: '',
}
