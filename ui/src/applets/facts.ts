import type { ApplianceRow } from '../bindings.ts'
import type { ApplianceFacts } from './AppletPage.tsx'

/** What an applet may read of an appliance: its settings, and the newest counters of its application. */
export function factsOf(row: ApplianceRow | undefined): ApplianceFacts | null {
  if (!row) return null
  const { domain, address, netmask, gateway, dns1, dns2 } = row.settings
  return { domain, address, netmask, gateway, dns1, dns2, counters: row.values?.counters ?? {} }
}
