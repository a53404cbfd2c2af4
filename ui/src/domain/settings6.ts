// The checks of the IPv6 cells, as protocol/src/parameters/ipv6.rs has them.

import { t } from '@lingui/core/macro'
import type { Settings } from '../bindings.ts'
import {
  firstOf,
  formatIp6,
  isLinkLocal,
  isUnicast6,
  type Network6,
  parseIp6,
  parseNetwork6,
} from './ipv6.ts'
import type { Field, Report } from './settings.ts'
import { shown } from './shown.ts'

/** IPv6 beside IPv4; none is fine. */
export function checkIpv6(settings: Settings, report: Report): void {
  const network = settings.address6.trim() ? checkAddress6(settings.address6, report) : null
  const gateway = settings.gateway6.trim() ? checkGateway6(settings.gateway6, report) : null
  if (network === null) {
    if (gateway !== null && !settings.address6.trim())
      report(
        'gateway6',
        'gateway6_without_address6',
        t`An IPv6 gateway needs an IPv6 address: fill the IPv6 address first.`,
      )
    return
  }
  // A cell that is wrong by itself is not compared with others.
  if (gateway === null && settings.gateway6.trim()) return
  checkNetwork6(network, gateway, report)
}

/** A name server's IPv6 address. */
export function checkServer6(field: Field, text: string, report: Report): void {
  const ip = parseIp6(text)
  if (ip === null)
    report(
      field,
      'bad_address',
      t`“${shown(text)}” is not an IP address: use the form 192.0.2.10 or 2001:db8::10.`,
    )
  else if (isLinkLocal(ip))
    report(
      field,
      'unusable_address',
      t`${formatIp6(ip)} is link-local: choose a name server's address that does not depend on the link.`,
    )
  else checkUnicast(field, ip, report)
}

function checkAddress6(text: string, report: Report): Network6 | null {
  const network = parseNetwork6(text)
  if (network === null) {
    report(
      'address6',
      'bad_address',
      t`“${shown(text)}” is not an IPv6 address with its prefix length: use the form 2001:db8::10/64.`,
    )
    return null
  }
  if (isLinkLocal(network.address)) {
    report(
      'address6',
      'unusable_address',
      t`${formatIp6(network.address)} is link-local, which every interface has by itself: choose an address of the site.`,
    )
    return null
  }
  if (!checkUnicast('address6', network.address, report)) return null
  if (network.prefix >= 16 && network.prefix <= 127) return network
  report(
    'address6',
    'unusable_prefix',
    t`/${network.prefix} is not usable here: choose a prefix length from 16 to 127.`,
  )
  return null
}

function checkGateway6(text: string, report: Report): bigint | null {
  const ip = parseIp6(text)
  if (ip === null) {
    report(
      'gateway6',
      'bad_address',
      t`“${shown(text)}” is not an IPv6 address: use the form 2001:db8::1 or fe80::1.`,
    )
    return null
  }
  return checkUnicast('gateway6', ip, report) ? ip : null
}

function checkUnicast(field: Field, ip: bigint, report: Report): boolean {
  if (isUnicast6(ip)) return true
  report(field, 'unusable_address', t`${formatIp6(ip)} cannot be used here: choose a unicast address.`)
  return false
}

function checkNetwork6(network: Network6, gateway: bigint | null, report: Report): void {
  const first = firstOf(network)
  const name = `${formatIp6(first)}/${network.prefix}`
  const address = formatIp6(network.address)
  if (network.prefix < 127 && network.address === first) {
    report(
      'address6',
      'edge_of_network',
      t`${address} stands for every router of ${name}: choose a host address.`,
    )
    return
  }
  if (gateway === null) return
  const shownGateway = formatIp6(gateway)
  if (gateway === network.address)
    report(
      'gateway6',
      'gateway_is_self',
      t`${shownGateway} is the appliance's own address: it cannot be its gateway.`,
    )
  else if (!isLinkLocal(gateway) && firstOf({ address: gateway, prefix: network.prefix }) !== first)
    report(
      'gateway6',
      'gateway_outside_network',
      t`The gateway ${shownGateway} is outside the network ${name}, and not link-local: the appliance could not reach it.`,
    )
}
