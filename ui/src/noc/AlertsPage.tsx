import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, NativeSelect } from '@mantine/core'
import { IconBellOff } from '@tabler/icons-react'
import { useCallback } from 'react'
import { useSearchParams } from 'react-router'
import type { Alert, Page } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { AlertRow } from './AlertRow.tsx'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { kinds, type Listed, useList } from './loading.ts'
import { SitePick } from './PlacePicks.tsx'
import { usePlaces } from './places.tsx'
import { useFace } from './session.tsx'
import { ALERT_KINDS, alertKind } from './words.ts'

const CONCERNS = kinds('alert')

/** Alerts of all sites: the open ones, then what was. */
export function AlertsPage() {
  const { t } = useLingui()
  const filter = useFilter()
  const open = useAlerts(true, filter)
  const closed = useAlerts(false, filter)
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Alerts</Trans>
        </h1>
        <div className={page.grow} />
        <Tools filter={filter} />
      </header>
      <div className={face.stack}>
        <section className={page.card} aria-label={t`Open alerts`}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Open</Trans>
            </h2>
          </div>
          {open.problem ? <ProblemAlert problem={open.problem} /> : null}
          {open.isReady && open.rows.length === 0 ? (
            <Empty icon={<IconBellOff size={28} />} title={<Trans>No open alerts</Trans>}>
              {filter.isAny ? (
                <Trans>There are none of those that you look for.</Trans>
              ) : (
                <Trans>Every configured appliance that you see reports in time.</Trans>
              )}
            </Empty>
          ) : (
            <AlertList list={open} testid="alerts-open" />
          )}
        </section>
        {closed.rows.length > 0 ? (
          <section className={page.card} aria-label={t`History`}>
            <div className={page.cardHead}>
              <h2>
                <Trans>History</Trans>
              </h2>
            </div>
            <AlertList list={closed} testid="alerts-closed" />
          </section>
        ) : null}
      </div>
    </div>
  )
}

interface Filter {
  site: string
  kind: string
  isWaiting: boolean
  isAny: boolean
  set: (name: 'site' | 'kind' | 'waiting', value: string) => void
}

/** What is looked for is in the address, so that it can be gone back to and passed on. */
function useFilter(): Filter {
  const [params, setParams] = useSearchParams()
  const [site, kind, waiting] = [
    params.get('site') ?? '',
    params.get('kind') ?? '',
    params.get('waiting') ?? '',
  ]
  const set: Filter['set'] = (name, value) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (value) after.set(name, value)
        else after.delete(name)
        return after
      },
      { replace: true },
    )
  const isWaiting = waiting === 'true'
  return { site, kind, isWaiting, isAny: site !== '' || kind !== '' || isWaiting, set }
}

function Tools({ filter }: { filter: Filter }) {
  const { t } = useLingui()
  const places = usePlaces()
  return (
    <>
      <SitePick
        sites={places.sites}
        value={filter.site}
        onChange={(value) => filter.set('site', value)}
        testid="filter-site"
      />
      <NativeSelect
        className={face.pick}
        aria-label={t`Kind`}
        data-testid="filter-kind"
        value={filter.kind}
        onChange={(event) => filter.set('kind', event.currentTarget.value)}
        data={[
          { value: '', label: t`All kinds` },
          ...ALERT_KINDS.map((kind) => ({ value: kind, label: alertKind(kind) })),
        ]}
      />
      <Checkbox
        label={t`Only those that wait for somebody`}
        data-testid="filter-waiting"
        checked={filter.isWaiting}
        onChange={(event) => filter.set('waiting', event.currentTarget.checked ? 'true' : '')}
      />
    </>
  )
}

function useAlerts(open: boolean, { site, kind, isWaiting }: Filter): Listed<Alert> {
  const { noc } = useFace()
  const load = useCallback(
    (after: string | null, limit: number) => {
      // What waits is open.
      const waiting = isWaiting && open ? true : null
      return noc.get<Page<Alert>>('/v1/alerts', { open, site, kind, waiting, after, limit })
    },
    [noc, open, site, kind, isWaiting],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || CONCERNS(changes)) list.refresh()
  })
  return list
}

function AlertList({ list, testid }: { list: Listed<Alert>; testid: string }) {
  return (
    <>
      <ul className={face.list} data-testid={testid}>
        {list.rows.map((alert) => (
          <AlertRow key={alert.id} alert={alert} onDone={list.refresh} />
        ))}
      </ul>
      {list.hasMore ? (
        <Button variant="subtle" fullWidth onClick={list.more}>
          <Trans>Show more</Trans>
        </Button>
      ) : null}
    </>
  )
}
