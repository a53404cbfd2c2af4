import { Trans, useLingui } from '@lingui/react/macro'
import { useCallback } from 'react'
import type { Tally } from '../backend/nocReports.ts'

// What the page and the sheet of paper say alike.

/** What the figures mean, for those who hold them against a contract. */
export function Meaning() {
  return (
    <Trans>
      Available is the part of the time in service in which an appliance reported. Maintenance and times in
      which the NOC itself was away are not counted. Months are of UTC; times are hours:minutes:seconds.
    </Trans>
  )
}

/** A percentage as the NOC gives it: three decimals, cut off. */
export function usePercent(): (percent: number | null) => string {
  const { i18n } = useLingui()
  return useCallback(
    (percent) =>
      percent === null
        ? '–'
        : `${i18n.number(percent, { minimumFractionDigits: 3, maximumFractionDigits: 3 })} %`,
    [i18n],
  )
}

/** The part of the counted time, as the NOC reckons it. */
export function percentOf({ available_s, silent_s }: Tally): number | null {
  const counted = available_s + silent_s
  return counted === 0 ? null : Math.floor((available_s * 100_000) / counted) / 1000
}

export function sumOf(rows: readonly Tally[]): Tally {
  const of = (name: keyof Tally) => rows.reduce((sum, row) => sum + row[name], 0)
  return {
    available_s: of('available_s'),
    silent_s: of('silent_s'),
    silences: of('silences'),
    longest_silence_s: Math.max(0, ...rows.map((row) => row.longest_silence_s)),
    maintenance_s: of('maintenance_s'),
    noc_away_s: of('noc_away_s'),
  }
}
