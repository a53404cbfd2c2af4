// What the NOC says of times gone by.

import type { Noc, Page, Query } from './noc.ts'

/** Seconds of a month, or of this one so far. */
export interface Tally {
  available_s: number
  silent_s: number
  silences: number
  longest_silence_s: number
  maintenance_s: number
  noc_away_s: number
}

export interface SiteAvailability extends Tally {
  site: number
  organisation: number
  name: string
  appliances: number
  never_silent: number
  /** Null when nothing is counted. */
  percent: number | null
}

export interface ApplianceAvailability extends Tally {
  uid: string
  serial: string
  model: string
  host_name: string
  since: number
  percent: number | null
}

/** Every page of a list. */
export async function every<T>(noc: Noc, path: string, query: Query): Promise<T[]> {
  const all: T[] = []
  let after: string | null = null
  do {
    const page: Page<T> = await noc.get<Page<T>>(path, { ...query, limit: 1_000, after })
    all.push(...page.items)
    after = page.next ?? null
  } while (after !== null)
  return all
}
