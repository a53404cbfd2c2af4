// Filling and pasting in the plan sheet.

import type { EditedRow } from '../bindings.ts'
import { formatIp, parseIp } from './ipv4.ts'
import { formatIp6, parseNetwork6 } from './ipv6.ts'
import type { Field } from './settings.ts'

/**
 * Fills the rows below `from` up to `to` from the cell at `from`. What must differ for each appliance counts on
 * (`mail-01` to `mail-02`, 192.0.2.9 to 192.0.2.10); all else is copied.
 */
export function fillDown<R extends EditedRow>(
  rows: readonly R[],
  field: Field,
  from: number,
  to: number,
): R[] {
  const start = rows[from]?.settings[field] ?? ''
  return rows.map((row, i) => {
    if (i <= from || i > to) return row
    const value =
      field === 'host_name' || field === 'address' || field === 'address6'
        ? (successor(field, start, i - from) ?? start)
        : start
    return { ...row, settings: { ...row.settings, [field]: value } }
  })
}

/** The value `steps` after `start`, or null when there is nothing to count. */
export function successor(
  field: 'host_name' | 'address' | 'address6',
  start: string,
  steps: number,
): string | null {
  if (field === 'address6') {
    const network = parseNetwork6(start)
    const next = network && network.address + BigInt(steps)
    return next === null || next >> 128n !== 0n ? null : `${formatIp6(next)}/${network?.prefix}`
  }
  if (field === 'address') {
    const ip = parseIp(start)
    return ip === null || ip + steps >= 2 ** 32 ? null : formatIp(ip + steps)
  }
  const match = /^(.*?)(\d{1,9})$/.exec(start.trim())
  if (!match) return null
  const [, stem = '', digits = ''] = match
  return stem + String(Number(digits) + steps).padStart(digits.length, '0')
}

/** A pasted cell as the sheet takes it: spreadsheets add quotes, line ends and non-breaking spaces. */
export function cleanPasted(text: string): string {
  const oneLine = text.replace(/[\r\n\t\u00a0]+/g, ' ').trim()
  const quoted = /^"(.*)"$/s.exec(oneLine)
  const plain = quoted?.[1] !== undefined ? quoted[1].replaceAll('""', '"') : oneLine
  // A leading apostrophe is how spreadsheets keep a text from being read as a formula.
  return (plain.startsWith("'") ? plain.slice(1) : plain).trim().slice(0, 255)
}
