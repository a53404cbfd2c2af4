import { t as text } from '@lingui/core/macro'
import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import {
  IconFileImport,
  IconLayoutGrid,
  IconListDetails,
  IconSearch,
  IconZoomExclamation,
} from '@tabler/icons-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import {
  type Appliance,
  type Changes,
  HEALTHS,
  type Health,
  type Page,
  PROVISIONINGS,
  type Provisioning,
} from '../backend/noc.ts'
import { healthBadge } from '../components/badge.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { useList } from './loading.ts'
import { OrganisationPick, SitePick } from './PlacePicks.tsx'
import { type Places, usePlaces } from './places.tsx'
import { type Column, Rows } from './Rows.tsx'
import { may, useFace } from './session.tsx'
import { provisioningBadge } from './words.ts'

/** Until what is typed is looked for. */
const TYPING_MS = 250
const FILTERS = ['organisation', 'site', 'health', 'provisioning', 'text'] as const
/** What the map can be narrowed by, too. */
const PLACES = ['organisation', 'site']
type Filters = Record<(typeof FILTERS)[number], string>

/** Every appliance of every site that one sees. */
export function FleetPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  const [params, setParams] = useSearchParams()
  const key = params.toString()
  const filters = useMemo(() => {
    const given = new URLSearchParams(key)
    return Object.fromEntries(FILTERS.map((name) => [name, given.get(name) ?? ''])) as Filters
  }, [key])
  const sort = useMemo(() => new URLSearchParams(key).get('sort') ?? '', [key])
  const isFiltered = FILTERS.some((name) => filters[name] !== '')
  const load = useCallback(
    (after: string | null, limit: number) =>
      noc.get<Page<Appliance>>('/v1/appliances', { ...filters, sort, after, limit }),
    [noc, filters, sort],
  )
  const list = useList(load)
  const { rows, hasMore } = list

  useChanges((changes) => {
    if (changes === null) return list.refresh()
    const { patched, isNew, isMoved } = merge(rows, changes, filters, isFiltered || !hasMore, sort)
    if (patched !== rows) list.patch(() => patched)
    if (isNew || isMoved) list.refresh()
  })

  const set = (name: keyof Filters | 'sort', value: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (value) after.set(name, value)
        else after.delete(name)
        if (name === 'organisation') after.delete('site')
        return after
      },
      { replace: true },
    )
  const sites = places.sites.filter(
    (site) => filters.organisation === '' || site.organisation === Number(filters.organisation),
  )
  const mayImport = places.organisations.some(({ id }) => may(me.operator, 'operator', id))
  const columns = useMemo(() => fleetColumns(places), [places])

  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>
          <Trans>Appliances</Trans>
        </h1>
        <SearchBox value={filters.text} onChange={(text) => set('text', text)} />
        <OrganisationPick
          value={filters.organisation}
          onChange={(value) => set('organisation', value)}
          testid="filter-organisation"
        />
        <SitePick
          sites={sites}
          value={filters.site}
          onChange={(value) => set('site', value)}
          testid="filter-site"
        />
        <NativeSelect
          className={face.pick}
          aria-label={t`Health`}
          data-testid="filter-health"
          value={filters.health}
          onChange={(event) => set('health', event.currentTarget.value)}
          data={[
            { value: '', label: t`Any health` },
            ...HEALTHS.map((value: Health) => ({ value, label: healthBadge(value).text })),
          ]}
        />
        <NativeSelect
          className={face.pick}
          aria-label={t`State`}
          data-testid="filter-provisioning"
          value={filters.provisioning}
          onChange={(event) => set('provisioning', event.currentTarget.value)}
          data={[
            { value: '', label: t`Any state` },
            ...PROVISIONINGS.map((value: Provisioning) => ({ value, label: provisioningBadge(value).text })),
          ]}
        />
        {isFiltered ? (
          <Button
            variant="subtle"
            color="gray"
            data-testid="clear-filters"
            onClick={() => setParams(sort === '' ? {} : { sort })}
          >
            <Trans>Show all</Trans>
          </Button>
        ) : null}
        <div className={page.grow} />
        <Button
          component={Link}
          to={`/map?${new URLSearchParams([...params].filter(([name]) => PLACES.includes(name)))}`}
          variant="default"
          data-testid="as-map"
          leftSection={<IconLayoutGrid size={15} aria-hidden />}
        >
          <Trans>As a map</Trans>
        </Button>
        {mayImport ? (
          <Button
            component={Link}
            to="/inventory"
            variant="default"
            data-testid="manifest-import"
            leftSection={<IconFileImport size={15} aria-hidden />}
          >
            <Trans>Import a manifest</Trans>
          </Button>
        ) : null}
        <output className={face.count} data-testid="row-count">
          {hasMore ? (
            <Plural value={rows.length} one="The first #" other="The first #" />
          ) : (
            <Plural value={rows.length} one="# appliance" other="# appliances" />
          )}
        </output>
      </header>
      {list.problem ? (
        <div className={face.problem}>
          <ProblemAlert problem={list.problem} />
        </div>
      ) : null}
      {list.isReady && rows.length === 0 ? (
        isFiltered ? (
          <Empty icon={<IconZoomExclamation size={28} />} title={<Trans>No appliance matches</Trans>}>
            <Trans>Nothing that you see has all of what is looked for. Show all, or look for less.</Trans>
          </Empty>
        ) : (
          <Empty icon={<IconListDetails size={28} />} title={<Trans>No appliances yet</Trans>}>
            <Trans>
              Import the vendor's manifest, or configure appliances from a console: then they are here.
            </Trans>
          </Empty>
        )
      ) : (
        <Rows
          label={t`Appliances`}
          testid="fleet"
          rows={rows}
          idOf={uidOf}
          columns={columns}
          hasMore={hasMore}
          onEnd={list.more}
          order={{ sort, onSort: (next) => set('sort', next) }}
        />
      )}
    </div>
  )
}

const uidOf = (row: Appliance) => row.uid

function fleetColumns(places: Places): Column<Appliance>[] {
  return [
    {
      id: 'name',
      sortKey: 'name',
      title: text`Host name`,
      width: 'minmax(150px, 1.8fr)',
      cell: (row) => <Link to={`/appliances/${row.uid}`}>{nameOf(row)}</Link>,
      full: nameOf,
    },
    {
      id: 'site',
      title: text`Site`,
      width: 'minmax(90px, 1.2fr)',
      cell: (row) => (row.site === null ? <span className="quiet">–</span> : places.site(row.site)),
      full: (row) =>
        row.site === null
          ? places.organisation(row.organisation)
          : `${places.site(row.site)}, ${places.organisation(row.organisation)}`,
    },
    {
      id: 'health',
      sortKey: 'health',
      title: text`Health`,
      width: '118px',
      cell: (row) => <StatusBadge badge={healthBadge(row.health)} />,
    },
    {
      id: 'state',
      sortKey: 'provisioning',
      title: text`State`,
      width: '126px',
      cell: (row) => <StatusBadge badge={provisioningBadge(row.provisioning)} />,
    },
    {
      id: 'ip',
      sortKey: 'address',
      title: text`IP`,
      width: '104px',
      cell: (row) => row.settings?.address ?? '',
    },
    {
      id: 'mac',
      sortKey: 'mac',
      title: text`MAC`,
      width: '132px',
      cell: (row) => <span className="mono">{row.mac}</span>,
    },
    {
      id: 'model',
      sortKey: 'model',
      title: text`Model`,
      width: 'minmax(80px, 1fr)',
      cell: (row) => row.model,
      full: (row) => row.model,
    },
    {
      id: 'serial',
      sortKey: 'serial',
      title: text`Serial`,
      width: 'minmax(100px, 1fr)',
      cell: (row) => row.serial,
      full: (row) => row.serial,
    },
    {
      id: 'beat',
      title: text`Last beat`,
      width: '90px',
      cell: (row) => (row.last_beat === null ? '' : <When at={row.last_beat} />),
    },
  ]
}

export function nameOf(row: Appliance): string {
  return row.settings?.host_name || row.serial || row.mac
}

/**
 * Changed rows in their places; whether there are others that belong to the list, when it can be said to be `known`; and whether one
 * belongs to another place by now.
 */
export function merge(
  rows: readonly Appliance[],
  changes: Changes,
  filters: Filters,
  known: boolean,
  sort = '',
): { patched: readonly Appliance[]; isNew: boolean; isMoved: boolean } {
  const changed = new Map(changes.appliances.map((row) => [row.uid, row]))
  if (changed.size === 0) return { patched: rows, isNew: false, isMoved: false }
  const place = placeBy(sort)
  let hasChanged = false
  let isMoved = false
  const patched = rows.flatMap((row) => {
    const now = changed.get(row.uid)
    if (!now) return [row]
    changed.delete(row.uid)
    hasChanged = true
    isMoved ||= place(row) !== place(now)
    return fits(now, filters) ? [now] : []
  })
  const isNew = known && [...changed.values()].some((row) => fits(row, filters))
  return { patched: hasChanged ? patched : rows, isNew, isMoved }
}

/** What decides where a row stands. */
function placeBy(sort: string): (row: Appliance) => string {
  switch (sort.replace(/^-/, '')) {
    case 'name':
      return nameOf
    case 'address':
      return (row) => row.settings?.address ?? ''
    case 'health':
      return (row) => row.health
    case 'provisioning':
      return (row) => row.provisioning
    case 'mac':
    case 'model':
    case 'serial':
      return ({ mac, model, serial }) => `${mac} ${model} ${serial}`
    default:
      return () => ''
  }
}

/** Whether a row is of those looked for. What is looked for as text, only the NOC says. */
function fits(row: Appliance, { organisation, site, health, provisioning }: Filters): boolean {
  return (
    (organisation === '' || row.organisation === Number(organisation)) &&
    (site === '' || row.site === Number(site)) &&
    (health === '' || row.health === health) &&
    (provisioning === '' || row.provisioning === provisioning)
  )
}

/** Looks for what is typed once nothing more is. */
function SearchBox({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const { t } = useLingui()
  const [typed, setTyped] = useState(value)
  useEffect(() => setTyped(value), [value])
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what is typed starts the clock
  useEffect(() => {
    if (typed === value) return
    const timer = setTimeout(() => onChange(typed), TYPING_MS)
    return () => clearTimeout(timer)
  }, [typed])
  return (
    <TextInput
      className={face.search}
      type="search"
      data-search
      data-testid="search"
      aria-label={t`Search host name, address, MAC or serial`}
      placeholder={t`Host name, address, MAC, serial`}
      maxLength={64}
      leftSection={<IconSearch size={15} aria-hidden />}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape') setTyped('')
      }}
    />
  )
}
