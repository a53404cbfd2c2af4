import { Trans, useLingui } from '@lingui/react/macro'
import { IconQuestionMark } from '@tabler/icons-react'
import { useCallback } from 'react'
import { Link, useParams } from 'react-router'
import type { Appliance, Page } from '../backend/noc.ts'
import type { BeatView } from '../bindings.ts'
import { healthBadge } from '../components/badge.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { span } from '../domain/time.ts'
import { BeatHistory } from '../pages/BeatHistory.tsx'
import page from '../pages/page.module.css'
import { ApplianceSettings } from './ApplianceSettings.tsx'
import { ApplianceStrip } from './ApplianceStrip.tsx'
import { type Fact, Facts } from './Facts.tsx'
import { nameOf } from './FleetPage.tsx'
import face from './face.module.css'
import { HistoryCharts } from './HistoryCharts.tsx'
import { Instructions } from './Instructions.tsx'
import { useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import { Retirement } from './Retirement.tsx'
import { BackLink, Card } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'
import { Versions } from './Versions.tsx'
import { provisioningBadge } from './words.ts'

/** One appliance: what it has, how it is, and its last day. */
export function AppliancePage() {
  const { uid = '' } = useParams()
  const { noc } = useFace()
  const path = `/v1/appliances/${encodeURIComponent(uid)}`
  const load = useCallback(() => noc.get<Appliance>(path), [noc, path])
  const { value, problem } = useLoaded(load, ({ appliances }) => appliances.some((row) => row.uid === uid))
  return (
    <div className={page.page} data-testid="appliance-page">
      <BackLink to="/">
        <Trans>Appliances</Trans>
      </BackLink>
      {value ? (
        <Details row={value} />
      ) : problem?.code === 'not_found' ? (
        <>
          <h1 className={page.title}>
            <Trans>Unknown appliance</Trans>
          </h1>
          <Empty icon={<IconQuestionMark size={28} />} title={<Trans>There is no such appliance here</Trans>}>
            <Trans>None that you see has the UID {uid}. It may be of another organisation, or gone.</Trans>
          </Empty>
        </>
      ) : problem ? (
        <ProblemAlert problem={problem} />
      ) : null}
    </div>
  )
}

function Details({ row }: { row: Appliance }) {
  const { t, i18n } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  const { beat } = row
  // What the NOC gives goes out with beats, so only to what follows it.
  const mayTell =
    row.settings !== null &&
    ['configured', 'granted', 'failed'].includes(row.provisioning) &&
    row.site !== null &&
    may(me.operator, 'operator', row.organisation, [row.site])
  const beats = useCallback(
    async (since: number) => {
      type Row = { at: number; values: Omit<BeatView, 'at'> }
      const { items } = await noc.get<Page<Row>>(`/v1/appliances/${row.uid}/beats`, { since })
      return items.map(({ at, values }) => ({ ...values, counters: values.counters ?? {}, at }))
    },
    [noc, row.uid],
  )
  const percent = (value: number) => i18n.number(value / 100, { style: 'percent', maximumFractionDigits: 0 })
  return (
    <>
      <header className={page.head}>
        <h1 className={`${page.title} ${face.name}`}>{nameOf(row)}</h1>
        <StatusBadge badge={healthBadge(row.health)} />
        <StatusBadge badge={provisioningBadge(row.provisioning)} />
      </header>
      <div className={page.cards}>
        <Card title={t`Identity`}>
          <Facts
            facts={[
              [
                t`UID`,
                <span key="uid" className="mono">
                  {row.uid}
                </span>,
              ],
              [
                t`MAC`,
                <span key="mac" className="mono">
                  {row.mac}
                </span>,
              ],
              [t`Serial`, row.serial],
              [t`Model`, row.model],
              [
                t`Site`,
                row.site === null ? (
                  ''
                ) : (
                  <Link key="site" className={face.link} to={`/sites/${row.site}`}>
                    {places.site(row.site)}
                  </Link>
                ),
              ],
              [t`Organisation`, places.organisation(row.organisation)],
            ]}
          />
        </Card>
        <ApplianceSettings row={row} mayChange={mayTell} />
        <Card title={t`Health`}>
          {beat && row.last_beat !== null ? (
            <Facts
              facts={[
                [t`Last beat`, <When key="at" at={row.last_beat} exact />],
                [t`Running for`, span(beat.uptime_s, i18n.locale)],
                [t`Load`, i18n.number(beat.load, { maximumFractionDigits: 2, minimumFractionDigits: 2 })],
                [t`Memory`, percent(beat.memory_percent)],
                [t`Disk`, percent(beat.disk_percent)],
                [t`Changed by hand`, beat.drift?.join(', ') ?? ''],
                [t`Settings not in force`, beat.network_problem ?? ''],
                ...Object.entries(beat.counters ?? {}).map(
                  ([name, value]): Fact => [name, i18n.number(value)],
                ),
              ]}
            />
          ) : (
            <span className="quiet">
              <Trans>It has not reported yet.</Trans>
            </span>
          )}
        </Card>
      </div>
      {row.provisioning === 'configured' ? <ApplianceStrip uid={row.uid} /> : null}
      <Instructions uid={row.uid} mayTell={mayTell} />
      <Retirement row={row} />
      <Versions uid={row.uid} mayGoBack={mayTell} />
      {row.provisioning === 'configured' ? (
        <>
          <HistoryCharts uid={row.uid} />
          <BeatHistory load={beats} lastBeat={row.last_beat} />
        </>
      ) : null}
    </>
  )
}
