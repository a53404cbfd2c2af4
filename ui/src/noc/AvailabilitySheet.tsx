import { Trans, useLingui } from '@lingui/react/macro'
import { createPortal } from 'react-dom'
import type { ApplianceAvailability, SiteAvailability, Tally } from '../backend/nocReports.ts'
import { clockSpan, monthName, monthOf } from '../domain/months.ts'
import { Meaning, percentOf, sumOf, usePercent } from './AvailabilityParts.tsx'
import classes from './AvailabilitySheet.module.css'
import { usePlaces } from './places.tsx'
import { useFace } from './session.tsx'

type Row = SiteAvailability | ApplianceAvailability

interface Props {
  month: string
  /** None for all sites: then the rows are sites. */
  site: number | null
  rows: readonly Row[]
}

/** The report on paper: a table whose head is on each sheet, black on white, without anything to click. */
export function AvailabilitySheet({ month, site, rows }: Props) {
  const { t, i18n } = useLingui()
  const { me } = useFace()
  const places = usePlaces()
  const percent = usePercent()
  const now = Date.now() / 1000
  const utc = new Intl.DateTimeFormat(i18n.locale, {
    dateStyle: 'long',
    timeStyle: 'medium',
    timeZone: 'UTC',
  })
  const produced = utc.format(now * 1000)
  const of = places.sites.find(({ id }) => id === site)
  const ids = of ? [of.organisation] : [...new Set(places.sites.map(({ organisation }) => organisation))]
  const organisations = ids.map((id) => places.organisation(id)).join(', ')
  const sum = sumOf(rows)
  const heads = [
    site === null ? t`Site` : t`Host name`,
    site === null ? t`Appliances` : t`Serial`,
    t`Available`,
    t`Silent`,
    t`Silences`,
    t`Longest`,
    t`Maintenance`,
    t`NOC away`,
  ]
  return createPortal(
    <div className={classes.sheet} data-testid="sheet">
      <h1>
        <Trans>Availability report</Trans>
      </h1>
      <dl className={classes.facts}>
        <dt>
          <Trans>Organisation</Trans>
        </dt>
        <dd>{organisations}</dd>
        <dt>
          <Trans>Site</Trans>
        </dt>
        <dd>{site === null ? t`All sites` : places.site(site)}</dd>
        <dt>
          <Trans>Month</Trans>
        </dt>
        <dd>
          {monthName(month, i18n.locale)}
          {month === monthOf(now) ? t`, so far` : ''}
        </dd>
        <dt>
          <Trans>Produced</Trans>
        </dt>
        <dd>
          <Trans>
            {produced} UTC, by {me.operator.name}
          </Trans>
        </dd>
      </dl>
      <p className={classes.meaning}>
        <Meaning />
      </p>
      <table className={classes.table}>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={'uid' in row ? row.uid : row.site}>
              <th scope="row">{'uid' in row ? row.host_name || row.uid : row.name}</th>
              <td>{'uid' in row ? row.serial : row.appliances}</td>
              <Times tally={row} percent={percent(row.percent)} />
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">
              <Trans>All</Trans>
            </th>
            <td />
            <Times tally={sum} percent={percent(percentOf(sum))} />
          </tr>
        </tfoot>
      </table>
    </div>,
    document.body,
  )
}

function Times({ tally, percent }: { tally: Tally; percent: string }) {
  return (
    <>
      <td>{percent}</td>
      <td>{clockSpan(tally.silent_s)}</td>
      <td>{tally.silences}</td>
      <td>{clockSpan(tally.longest_silence_s)}</td>
      <td>{clockSpan(tally.maintenance_s)}</td>
      <td>{clockSpan(tally.noc_away_s)}</td>
    </>
  )
}
