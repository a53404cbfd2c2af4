// Label codes as they come: typed, pasted as a list, from a CSV, or by a scanner that types.

import { parseTable } from './csv.ts'

export interface Labelled {
  uid: string
  mac: string
  serial: string
}

export interface CodeList {
  /** Code by UID. */
  codes: Map<string, string>
  /** Lines that named an appliance which is not among those asked for. */
  unmatched: string[]
  /** Codes for which no appliance without a code was left. */
  surplus: number
}

/**
 * Reads lines of `MAC, code`, `UID, code` or `serial, code` in any column order, and lines with a code alone, which go
 * to the appliances without a code in the order shown.
 */
export function readCodes(
  text: string,
  appliances: readonly Labelled[],
  known: ReadonlyMap<string, string>,
): CodeList {
  const byName = new Map<string, string>()
  for (const { uid, mac, serial } of appliances) {
    byName.set(plain(uid), uid)
    byName.set(plain(mac), uid)
    if (serial) byName.set(plain(serial), uid)
  }
  const codes = new Map<string, string>()
  const unmatched: string[] = []
  const loose: string[] = []
  for (const cells of parseTable(text)) {
    const filled = cells.filter((cell) => cell !== '')
    const named = filled.find((cell) => byName.has(plain(cell)))
    const [first = ''] = filled
    if (named !== undefined) {
      const code = filled.find((cell) => cell !== named && isCode(cell))
      if (code !== undefined) codes.set(byName.get(plain(named)) as string, tidyCode(code))
      else unmatched.push(filled.join(', '))
    } else if (filled.length === 1 && isCode(first)) loose.push(tidyCode(first))
    else if (!isHeader(filled)) unmatched.push(filled.join(', '))
  }
  const free = appliances.filter(({ uid }) => !codes.has(uid) && !known.get(uid))
  loose.slice(0, free.length).forEach((code, i) => {
    codes.set((free[i] as Labelled).uid, code)
  })
  return { codes, unmatched, surplus: Math.max(0, loose.length - free.length) }
}

/** At least 80 bits in base32 are 16 letters or digits; the NOC decides whether it is the right one. */
export function isCode(text: string): boolean {
  const letters = plain(text)
  return letters.length >= 16 && letters.length <= 64 && /^[A-Z0-9]+$/.test(letters)
}

export function tidyCode(text: string): string {
  return text.trim().toUpperCase().replace(/\s+/g, '-')
}

function plain(text: string): string {
  return text.toUpperCase().replace(/[\s:.-]/g, '')
}

function isHeader(cells: readonly string[]): boolean {
  return cells.some((cell) => /^(mac|uid|serial|claim|code|label)\b/i.test(cell))
}
