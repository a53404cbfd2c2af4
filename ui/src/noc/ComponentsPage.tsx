import { Trans, useLingui } from '@lingui/react/macro'
import { Switch } from '@mantine/core'
import { IconPackage } from '@tabler/icons-react'
import { useCallback, useEffect, useMemo } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Changes, Page } from '../backend/noc.ts'
import type { ApplianceComponents, ComponentStanding, Rollout } from '../backend/nocComponents.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import page from '../pages/page.module.css'
import { componentBadge } from './componentBadges.ts'
import face from './face.module.css'
import { kinds, useLiveList, useLoaded } from './loading.ts'
import { OrganisationPick, SitePick } from './PlacePicks.tsx'
import { usePlaces } from './places.tsx'
import { RequiredComponents } from './RequiredComponents.tsx'
import { RolloutCard } from './RolloutCard.tsx'
import { type Column, Rows } from './Rows.tsx'
import { ListProblem } from './Scaffold.tsx'
import { useFace } from './session.tsx'

const POLICIES = kinds('rollout', 'component', 'organisation', 'site')
/** What appliances say of components comes with their beats. */
const CONCERNS = (changes: Changes) => POLICIES(changes) || changes.appliances.length > 0
/** Roll-outs that are over and still shown. */
const OVER = 3

/** What is required where, how far roll-outs are, what runs, and what is behind. */
export function ComponentsPage() {
  const { t } = useLingui()
  const places = usePlaces()
  const [params, setParams] = useSearchParams()
  const site = params.get('site') ?? ''
  const ofSite = places.sites.find((one) => String(one.id) === site)
  const only = places.organisations.length === 1 ? String(places.organisations[0]?.id) : ''
  const organisation = ofSite ? String(ofSite.organisation) : (params.get('organisation') ?? only)
  const isBehind = params.get('behind') !== null
  const set = (name: string, value: string, drops: string[] = []) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        for (const drop of drops) after.delete(drop)
        if (value) after.set(name, value)
        else after.delete(name)
        return after
      },
      { replace: true },
    )
  const sites = organisation
    ? places.sites.filter((one) => String(one.organisation) === organisation)
    : places.sites
  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>
          <Trans>Components</Trans>
        </h1>
        <OrganisationPick
          value={organisation}
          onChange={(value) => set('organisation', value, ['site'])}
          testid="organisation"
        />
        <SitePick sites={sites} value={site} onChange={(value) => set('site', value)} testid="site" />
        <div className={page.grow} />
        <Switch
          label={t`Only what is behind`}
          data-testid="behind"
          checked={isBehind}
          onChange={(event) => set('behind', event.currentTarget.checked ? 'yes' : '')}
        />
      </header>
      <div className={face.above}>
        <Rollouts key={`rollouts ${organisation} ${site}`} organisation={organisation} site={site} />
        {organisation ? (
          <RequiredComponents
            key={`required ${organisation} ${site}`}
            organisation={organisation}
            site={site}
            concerns={POLICIES}
          />
        ) : null}
      </div>
      <Standings organisation={organisation} site={site} isBehind={isBehind} />
    </div>
  )
}

interface Of {
  organisation: string
  site: string
}

function Rollouts({ organisation, site }: Of) {
  const { noc, query } = useQuery(organisation, site)
  const load = useCallback(async () => {
    const path = '/v1/components/rollouts'
    // Of a site also what its organisation requires of it.
    const asked = { organisation: query.organisation, site: null }
    const [open, over] = await Promise.all([
      noc.get<Page<Rollout>>(path, { ...asked, open: true }),
      noc.get<Page<Rollout>>(path, { ...asked, open: false, limit: OVER }),
    ])
    const isHere = (one: Rollout) => query.site === null || one.site === null || one.site === query.site
    return { open: open.items.filter(isHere), over: over.items.filter(isHere) }
  }, [noc, query])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  return (
    <>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {value?.open.map((one) => (
        <RolloutCard key={one.id} rollout={one} onDone={reload} />
      ))}
      {value?.over.map((one) => (
        <RolloutCard key={one.id} rollout={one} onDone={reload} />
      ))}
    </>
  )
}

interface Standing extends ComponentStanding {
  uid: string
  site: number | null
}

function Standings({ organisation, site, isBehind }: Of & { isBehind: boolean }) {
  const { t } = useLingui()
  const places = usePlaces()
  const { noc, query } = useQuery(organisation, site)
  const load = useCallback(
    async (after: string | null, limit: number): Promise<Page<Standing>> => {
      const behind = isBehind || null
      const found = await noc.get<Page<ApplianceComponents>>('/v1/components/standings', {
        ...query,
        behind,
        after,
        limit,
      })
      const items = found.items.flatMap(({ uid, site, components }) =>
        components.map((one) => ({ ...one, uid, site })),
      )
      return { ...found, items }
    },
    [noc, query, isBehind],
  )
  const list = useLiveList(load, CONCERNS)
  const { rows, isReady, hasMore, more } = list
  // A part may have no rows and still not be the last.
  useEffect(() => {
    if (isReady && hasMore && rows.length === 0) more()
  }, [isReady, hasMore, rows, more])
  const columns = useMemo(
    (): Column<Standing>[] => [
      {
        id: 'appliance',
        title: t`Appliance`,
        width: 'minmax(150px, 1.4fr)',
        cell: (row) => (
          <Link className="mono" to={`/appliances/${row.uid}`}>
            {row.uid}
          </Link>
        ),
        full: (row) => row.uid,
      },
      {
        id: 'site',
        title: t`Site`,
        width: 'minmax(90px, 1fr)',
        cell: (row) => (row.site === null ? '' : places.site(row.site)),
        full: (row) => (row.site === null ? '' : places.site(row.site)),
      },
      {
        id: 'component',
        title: t`Component`,
        width: 'minmax(100px, 1fr)',
        cell: (row) => row.name,
        full: (row) => row.name,
      },
      { id: 'running', title: t`Runs`, width: '100px', cell: (row) => row.running ?? '–' },
      { id: 'version', title: t`Required`, width: '100px', cell: (row) => row.version ?? '–' },
      {
        id: 'state',
        title: t`State`,
        width: '150px',
        cell: (row) => (
          <>
            <StatusBadge badge={componentBadge(row.state)} />
            {row.percent !== null && row.state !== 'installed' ? (
              <span className="num"> {row.percent} %</span>
            ) : null}
          </>
        ),
      },
      {
        id: 'problem',
        title: t`Problem`,
        width: 'minmax(120px, 1.6fr)',
        cell: (row) => row.problem,
        full: (row) => row.problem ?? '',
      },
    ],
    [t, places],
  )
  return (
    <>
      <ListProblem problem={list.problem} />
      {isReady && !hasMore && rows.length === 0 ? (
        <Empty
          icon={<IconPackage size={28} />}
          title={isBehind ? <Trans>Nothing is behind</Trans> : <Trans>No components here</Trans>}
        >
          {isBehind ? (
            <Trans>Every appliance runs what is required of it.</Trans>
          ) : (
            <Trans>
              Nothing is required of these appliances, and none of them says that it runs anything. An
              administrator requires components with “muster-noc component require”.
            </Trans>
          )}
        </Empty>
      ) : (
        <Rows
          label={t`What runs where`}
          testid="standings"
          rows={rows}
          idOf={(row) => `${row.uid} ${row.name}`}
          columns={columns}
          hasMore={hasMore}
          onEnd={more}
        />
      )}
    </>
  )
}

function useQuery(organisation: string, site: string) {
  const { noc } = useFace()
  const query = useMemo(
    () => ({ organisation: organisation ? Number(organisation) : null, site: site ? Number(site) : null }),
    [organisation, site],
  )
  return { noc, query }
}
