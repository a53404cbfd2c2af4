import { Trans, useLingui } from '@lingui/react/macro'
import { Loader } from '@mantine/core'
import { useCallback, useMemo } from 'react'
import { Link } from 'react-router'
import type { Alert, Appliance, Console, Page } from '../backend/noc.ts'
import { every, type SiteAvailability } from '../backend/nocReports.ts'
import { alertName, healthBadge } from '../components/badge.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { clockSpan } from '../domain/months.ts'
import page from '../pages/page.module.css'
import { AlertRow } from './AlertRow.tsx'
import { usePercent } from './AvailabilityParts.tsx'
import { useAppliances } from './appliances.ts'
import { type Fact, Facts } from './Facts.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { ApplianceMap } from './MapPage.tsx'
import { Card } from './Scaffold.tsx'
import { useSite } from './SitePage.tsx'
import { useFace } from './session.tsx'
import { alertBadge } from './words.ts'

const ALERTS = kinds('alert')
const CONSOLES = kinds('console')
const NEVER = () => false
/** Open alerts, and things that happened, that are shown. */
const SHOWN = 5
const HAPPENED = 12
/** Alerts that are read for them. */
const READ = 50

/** How a site is, at a glance: its appliances, what is open, this month, who looks after it. */
export function SiteOverview() {
  const { t } = useLingui()
  const { known } = useSite()
  const { id } = known.value
  const query = useMemo(() => ({ site: String(id) }), [id])
  const fits = useCallback((row: Appliance) => row.site === id, [id])
  const { rows, problem } = useAppliances(query, fits)
  return (
    <div className={face.stack} data-testid="site-overview">
      <Card
        title={t`Appliances`}
        tools={
          <Link className={face.link} to={`/?site=${id}`}>
            <Trans>Show as a list</Trans>
          </Link>
        }
      >
        {problem ? <ProblemAlert problem={problem} /> : null}
        {rows === null ? (
          problem ? null : (
            <Loader size="sm" aria-label={t`Loading`} />
          )
        ) : rows.length === 0 ? (
          <span className="quiet">
            <Trans>There are no appliances at this site yet.</Trans>
          </span>
        ) : (
          <ApplianceMap rows={rows} label={t`Map of the site`} height={300} />
        )}
      </Card>
      <Alerts site={id} />
      <div className={page.cards}>
        <States rows={rows} />
        <ThisMonth site={id} />
        <Consoles site={id} />
      </div>
    </div>
  )
}

function States({ rows }: { rows: readonly Appliance[] | null }) {
  const { t, i18n } = useLingui()
  const counts = new Map<Appliance['health'], number>()
  for (const { health } of rows ?? []) counts.set(health, (counts.get(health) ?? 0) + 1)
  return (
    <Card title={t`States`}>
      <ul className={face.plain}>
        {[...counts]
          .sort(([, a], [, b]) => b - a)
          .map(([health, count]) => (
            <li key={health} className={face.said}>
              <StatusBadge badge={healthBadge(health)} />
              <span className="num">{i18n.number(count)}</span>
            </li>
          ))}
      </ul>
    </Card>
  )
}

function ThisMonth({ site }: { site: number }) {
  const { t, i18n } = useLingui()
  const { noc } = useFace()
  const percent = usePercent()
  const load = useCallback(() => noc.get<Page<SiteAvailability>>('/v1/availability', { site }), [noc, site])
  const { value: found, problem } = useLoaded(load, NEVER)
  const value = found?.items[0]
  const facts: Fact[] = value
    ? [
        [t`Available`, <strong key="available">{percent(value.percent)}</strong>],
        [t`Never silent`, t`${i18n.number(value.never_silent)} of ${i18n.number(value.appliances)}`],
        [t`Silent`, clockSpan(value.silent_s)],
        [t`Longest silence`, clockSpan(value.longest_silence_s)],
      ]
    : []
  return (
    <Card
      title={t`This month`}
      tools={
        <Link className={face.link} to={`/availability?site=${site}`}>
          <Trans>Report</Trans>
        </Link>
      }
    >
      {problem ? <ProblemAlert problem={problem} /> : <Facts facts={facts} />}
    </Card>
  )
}

function Consoles({ site }: { site: number }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const load = useCallback(() => every<Console>(noc, '/v1/consoles', {}), [noc])
  const { value, problem } = useLoaded(load, CONSOLES)
  const here = value?.filter((one) => one.revoked === null && one.sites.includes(site)) ?? []
  return (
    <Card title={t`Consoles`}>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {value && here.length === 0 ? (
        <span className="quiet">
          <Trans>No console has joined this site.</Trans>
        </span>
      ) : null}
      <ul className={face.plain}>
        {here.map(({ id, name }) => (
          <li key={id}>
            <Link className={face.link} to={`/consoles/${id}`}>
              {name}
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  )
}

interface Happened {
  key: string
  at: number
  alert: Alert
  what: 'opened' | 'resolved' | 'acknowledged'
}

function Alerts({ site }: { site: number }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const load = useCallback(async () => {
    const [open, all] = await Promise.all([
      noc.get<Page<Alert>>('/v1/alerts', { site, open: true, limit: SHOWN }),
      noc.get<Page<Alert>>('/v1/alerts', { site, limit: READ }),
    ])
    return { open, happened: happenedOf(all.items) }
  }, [noc, site])
  const { value, problem, reload } = useLoaded(load, ALERTS)
  const words = { opened: t`opened`, resolved: t`resolved`, acknowledged: t`acknowledged` }
  return (
    <>
      <Card
        title={t`Open alerts`}
        isFlush
        tools={
          <Link className={face.link} to={`/alerts?site=${site}`}>
            <Trans>All alerts</Trans>
          </Link>
        }
      >
        {problem ? <ProblemAlert problem={problem} /> : null}
        {value && value.open.items.length === 0 ? (
          <p className={`${face.more} quiet`}>
            <Trans>None is open.</Trans>
          </p>
        ) : null}
        <ul className={face.list} data-testid="open-alerts">
          {value?.open.items.map((alert) => (
            <AlertRow key={alert.id} alert={alert} onDone={reload} />
          ))}
        </ul>
        {value?.open.next ? (
          <p className={`${face.more} quiet`}>
            <Trans>There are more.</Trans>
          </p>
        ) : null}
      </Card>
      <Card title={t`Last events`} isFlush>
        {value && value.happened.length === 0 ? (
          <p className={`${face.more} quiet`}>
            <Trans>Nothing has happened here yet.</Trans>
          </p>
        ) : null}
        <ul className={face.list} data-testid="last-events">
          {value?.happened.map(({ key, at, alert, what }) => (
            <li key={key}>
              <When at={at} exact />
              <StatusBadge badge={{ ...alertBadge(alert), text: alertName(alert) }} />
              <span>{words[what]}</span>
              {alert.appliances.length === 1 ? (
                <Link className={`${face.link} mono`} to={`/appliances/${alert.appliances[0]}`}>
                  {alert.appliances[0]?.slice(0, 9)}
                </Link>
              ) : null}
            </li>
          ))}
        </ul>
      </Card>
    </>
  )
}

/** What became of alerts, the newest first. */
function happenedOf(alerts: readonly Alert[]): Happened[] {
  const all = alerts.flatMap((alert) => {
    const one = (what: Happened['what'], at: number | null): Happened[] =>
      at === null ? [] : [{ key: `${what} ${alert.id}`, at, alert, what }]
    return [
      ...one('opened', alert.opened),
      ...one('acknowledged', alert.acknowledged),
      ...one('resolved', alert.closed),
    ]
  })
  return all.sort((a, b) => b.at - a.at).slice(0, HAPPENED)
}
