import { t as text } from '@lingui/core/macro'
import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect } from '@mantine/core'
import { IconCalendarOff, IconDownload, IconPrinter } from '@tabler/icons-react'
import { useCallback, useMemo } from 'react'
import { Link, useSearchParams } from 'react-router'
import {
  type ApplianceAvailability,
  every,
  type SiteAvailability,
  type Tally,
} from '../backend/nocReports.ts'
import { Empty } from '../components/Empty.tsx'
import { useNow } from '../components/useNow.ts'
import { clockSpan, monthName, monthOf, monthsUntil } from '../domain/months.ts'
import page from '../pages/page.module.css'
import classes from './AvailabilityPage.module.css'
import { Meaning, percentOf, sumOf, usePercent } from './AvailabilityParts.tsx'
import { AvailabilitySheet } from './AvailabilitySheet.tsx'
import face from './face.module.css'
import { useLoaded } from './loading.ts'
import { SitePick } from './PlacePicks.tsx'
import { usePlaces } from './places.tsx'
import { usePrinting } from './printing.ts'
import { type Column, Rows } from './Rows.tsx'
import { ListProblem } from './Scaffold.tsx'
import { useFace } from './session.tsx'

const MONTHS = 24
const NEVER = () => false

/** For how long appliances were available in a month: of all sites, or of one with its appliances. */
export function AvailabilityPage() {
  const { t, i18n } = useLingui()
  const places = usePlaces()
  const [params, setParams] = useSearchParams()
  const now = useNow(60)
  const month = params.get('month') ?? monthOf(now)
  const site = params.get('site') ?? ''
  const months = monthsUntil(now, MONTHS)
  const set = (name: string, value: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (value) after.set(name, value)
        else after.delete(name)
        return after
      },
      { replace: true },
    )
  const file = new URLSearchParams({ month, ...(site ? { site } : {}) })
  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>
          <Trans>Availability</Trans>
        </h1>
        <NativeSelect
          className={face.pick}
          aria-label={t`Month`}
          data-testid="month"
          value={month}
          onChange={(event) => set('month', event.currentTarget.value)}
          data={(months.includes(month) ? months : [...months, month]).map((value) => ({
            value,
            label: monthName(value, i18n.locale),
          }))}
        />
        <SitePick sites={places.sites} value={site} onChange={(value) => set('site', value)} testid="site" />
        <div className={page.grow} />
        <Button
          component="a"
          href={`/v1/availability.csv?${file}`}
          download={`availability-${month}.csv`}
          variant="default"
          data-testid="availability-csv"
          leftSection={<IconDownload size={15} aria-hidden />}
        >
          <Trans>Save as CSV</Trans>
        </Button>
        <Button
          variant="default"
          data-testid="print"
          leftSection={<IconPrinter size={15} aria-hidden />}
          onClick={() => window.print()}
        >
          <Trans>Print</Trans>
        </Button>
      </header>
      {site ? (
        <OfOneSite key={`${site} ${month}`} site={site} month={month} />
      ) : (
        <OfAllSites key={month} month={month} onSite={(id) => set('site', String(id))} />
      )}
    </div>
  )
}

function OfAllSites({ month, onSite }: { month: string; onSite: (id: number) => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const { organisation } = usePlaces()
  const load = useCallback(() => every<SiteAvailability>(noc, '/v1/availability', { month }), [noc, month])
  const { value, problem } = useLoaded(load, NEVER)
  const { order, sorted } = useOrder(value, worst)
  const columns = useMemo(
    (): Column<SiteAvailability>[] => [
      {
        id: 'site',
        title: t`Site`,
        width: 'minmax(140px, 1.6fr)',
        sortKey: 'name',
        cell: (row) => (
          <button type="button" className={classes.choose} onClick={() => onSite(row.site)}>
            {row.name}
          </button>
        ),
        full: (row) => `${row.name}, ${organisation(row.organisation)}`,
      },
      ...percentColumn<SiteAvailability>(),
      {
        id: 'appliances',
        title: t`Appliances`,
        width: '90px',
        sortKey: 'appliances',
        cell: (row) => <Count value={row.appliances} />,
      },
      {
        id: 'never_silent',
        title: t`Never silent`,
        width: '90px',
        sortKey: 'never_silent',
        cell: (row) => <Count value={row.never_silent} />,
      },
      ...tallyColumns<SiteAvailability>(),
    ],
    [t, onSite, organisation],
  )
  const printing = usePrinting()
  return (
    <>
      <ListProblem problem={problem} />
      {value?.every((row) => row.appliances === 0) ? <Nothing month={month} /> : null}
      {value?.some((row) => row.appliances > 0) ? (
        <>
          <Explained month={month} />
          <Rows
            label={t`Availability by site`}
            testid="availability"
            rows={sorted}
            idOf={(row) => String(row.site)}
            columns={columns}
            hasMore={false}
            onEnd={NEVER}
            order={order}
          />
          {printing ? <AvailabilitySheet month={month} site={null} rows={sorted} /> : null}
        </>
      ) : null}
    </>
  )
}

function OfOneSite({ site, month }: { site: string; month: string }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const load = useCallback(
    () => every<ApplianceAvailability>(noc, `/v1/sites/${encodeURIComponent(site)}/availability`, { month }),
    [noc, site, month],
  )
  const { value, problem } = useLoaded(load, NEVER)
  const { order, sorted } = useOrder(value, worst)
  const sum = useMemo(() => (value ? sumOf(value) : null), [value])
  const columns = useMemo(
    (): Column<ApplianceAvailability>[] => [
      {
        id: 'name',
        title: t`Host name`,
        width: 'minmax(140px, 1.6fr)',
        sortKey: 'host_name',
        cell: (row) => <Link to={`/appliances/${row.uid}`}>{row.host_name || row.serial || row.uid}</Link>,
        full: (row) => row.host_name || row.serial || row.uid,
      },
      ...percentColumn<ApplianceAvailability>(),
      {
        id: 'model',
        title: t`Model`,
        width: 'minmax(70px, 0.8fr)',
        sortKey: 'model',
        cell: (row) => row.model,
        full: (row) => row.model,
      },
      ...tallyColumns<ApplianceAvailability>(),
    ],
    [t],
  )
  const printing = usePrinting()
  return (
    <>
      <ListProblem problem={problem} />
      {value?.length === 0 ? <Nothing month={month} /> : null}
      {value && sum && value.length > 0 ? (
        <>
          <Summary rows={value} sum={sum} />
          <Explained month={month} />
          <Rows
            label={t`Availability by appliance`}
            testid="availability"
            rows={sorted}
            idOf={(row) => row.uid}
            columns={columns}
            hasMore={false}
            onEnd={NEVER}
            order={order}
          />
          {printing ? <AvailabilitySheet month={month} site={Number(site)} rows={sorted} /> : null}
        </>
      ) : null}
    </>
  )
}

/** The whole site in a line. */
function Summary({ rows, sum }: { rows: readonly ApplianceAvailability[]; sum: Tally }) {
  const { t, i18n } = useLingui()
  const percent = usePercent()
  const facts: [string, string][] = [
    [t`Available`, percent(percentOf(sum))],
    [t`Appliances`, i18n.number(rows.length)],
    [t`Never silent`, i18n.number(rows.filter((row) => row.silences === 0).length)],
    [t`Silent`, clockSpan(sum.silent_s)],
    [t`Longest silence`, clockSpan(sum.longest_silence_s)],
  ]
  return (
    <dl className={classes.summary} data-testid="availability-summary">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Explained({ month }: { month: string }) {
  const { i18n } = useLingui()
  const isSoFar = month === monthOf(Date.now() / 1000)
  const name = monthName(month, i18n.locale)
  return (
    <p className={classes.explained}>
      {isSoFar ? <Trans>{name}, so far.</Trans> : <Trans>{name}.</Trans>} <Meaning />
    </p>
  )
}

function Nothing({ month }: { month: string }) {
  const { i18n } = useLingui()
  const name = monthName(month, i18n.locale)
  return (
    <Empty icon={<IconCalendarOff size={28} />} title={<Trans>Nothing to report for {name}</Trans>}>
      <Trans>
        No appliance was expected to report in this month, or it was before the NOC began to write this down.
      </Trans>
    </Empty>
  )
}

function Percent({ value }: { value: number | null }) {
  const percent = usePercent()
  return <span className="num">{percent(value)}</span>
}

function Count({ value }: { value: number }) {
  const { i18n } = useLingui()
  return <span className="num">{i18n.number(value)}</span>
}

function percentColumn<T extends { percent: number | null }>(): Column<T>[] {
  return [
    {
      id: 'percent',
      title: text`Available`,
      width: '104px',
      sortKey: 'percent',
      cell: (row) => <Percent value={row.percent} />,
    },
  ]
}

function tallyColumns<T extends Tally>(): Column<T>[] {
  const time = (id: keyof Tally, title: string): Column<T> => ({
    id,
    title,
    width: '96px',
    sortKey: id,
    cell: (row) => <span className="num">{clockSpan(row[id])}</span>,
  })
  return [
    time('silent_s', text`Silent`),
    {
      id: 'silences',
      title: text`Silences`,
      width: '74px',
      sortKey: 'silences',
      cell: (row) => <Count value={row.silences} />,
    },
    time('longest_silence_s', text`Longest`),
    time('maintenance_s', text`Maintenance`),
    time('noc_away_s', text`NOC away`),
  ]
}

/** The worst first, and of those that are alike the one that was silent for longer. */
function worst(a: Tally & { percent: number | null }, b: Tally & { percent: number | null }): number {
  return (a.percent ?? 101) - (b.percent ?? 101) || b.silent_s - a.silent_s
}

function useOrder<T extends object>(rows: readonly T[] | null, usual: (a: T, b: T) => number) {
  const [params, setParams] = useSearchParams()
  const sort = params.get('sort') ?? ''
  const sorted = useMemo(() => {
    const all = [...(rows ?? [])]
    if (sort === '') return all.sort(usual)
    const name = sort.replace(/^-/, '') as keyof T
    const way = sort.startsWith('-') ? -1 : 1
    return all.sort((a, b) => way * compare(a[name], b[name]))
  }, [rows, sort, usual])
  const onSort = (next: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (next) after.set('sort', next)
        else after.delete('sort')
        return after
      },
      { replace: true },
    )
  return { sorted, order: { sort, onSort } }
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'string' && typeof b === 'string') return a.localeCompare(b, undefined, { numeric: true })
  return Number(a ?? -1) - Number(b ?? -1)
}
