import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Loader } from '@mantine/core'
import { IconLayoutGrid, IconListDetails } from '@tabler/icons-react'
import { useCallback, useMemo } from 'react'
import { Link, useNavigate, useSearchParams } from 'react-router'
import type { Appliance } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { type HeatGroup, HeatMap } from '../components/HeatMap.tsx'
import { heatCell, heatValues } from '../components/heatCells.ts'
import page from '../pages/page.module.css'
import { useAppliances } from './appliances.ts'
import { nameOf } from './FleetPage.tsx'
import face from './face.module.css'
import { OrganisationPick, SitePick } from './PlacePicks.tsx'
import { usePlaces } from './places.tsx'
import { ListProblem } from './Scaffold.tsx'

/** Every appliance that one sees, one cell each, by site. */
export function MapPage() {
  const { t } = useLingui()
  const places = usePlaces()
  const [params, setParams] = useSearchParams()
  const organisation = params.get('organisation') ?? ''
  const site = params.get('site') ?? ''
  const query = useMemo(() => ({ organisation, site }), [organisation, site])
  const fits = useCallback(
    (row: Appliance) =>
      (organisation === '' || row.organisation === Number(organisation)) &&
      (site === '' || row.site === Number(site)),
    [organisation, site],
  )
  const { rows, problem } = useAppliances(query, fits)
  const set = (name: string, value: string) =>
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
  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>
          <Trans>Map of the fleet</Trans>
        </h1>
        <OrganisationPick
          value={organisation}
          onChange={(value) => set('organisation', value)}
          testid="filter-organisation"
        />
        <SitePick
          sites={places.sites.filter(
            (one) => organisation === '' || one.organisation === Number(organisation),
          )}
          value={site}
          onChange={(value) => set('site', value)}
          testid="filter-site"
        />
        <div className={page.grow} />
        <Button
          component={Link}
          to={`/?${params}`}
          variant="default"
          data-testid="as-list"
          leftSection={<IconListDetails size={15} aria-hidden />}
        >
          <Trans>As a list</Trans>
        </Button>
      </header>
      <ListProblem problem={problem} />
      {rows === null ? (
        problem ? null : (
          <div className={face.problem}>
            <Loader size="sm" aria-label={t`Loading`} />
          </div>
        )
      ) : rows.length === 0 ? (
        <Empty icon={<IconLayoutGrid size={28} />} title={<Trans>No appliances yet</Trans>}>
          <Trans>
            Import the vendor's manifest, or configure appliances from a console: then they are here.
          </Trans>
        </Empty>
      ) : (
        <div className={face.scrolling}>
          <ApplianceMap rows={rows} label={t`Map of the fleet`} />
        </div>
      )}
    </div>
  )
}

/** Appliances by site; sites by name, appliances by theirs. */
export function ApplianceMap({
  rows,
  label,
  height,
}: {
  rows: readonly Appliance[]
  label: string
  height?: number
}) {
  const { t, i18n } = useLingui()
  const navigate = useNavigate()
  const places = usePlaces()
  const groups = useMemo((): HeatGroup[] => {
    const number = new Intl.NumberFormat(i18n.locale, { maximumFractionDigits: 1 })
    const order = new Intl.Collator(i18n.locale, { numeric: true })
    const found = new Map<string, HeatGroup>()
    for (const row of rows) {
      const id = row.site === null ? `none ${row.organisation}` : String(row.site)
      let group = found.get(id)
      if (!group) {
        const title = row.site === null ? t`Without a site` : places.site(row.site)
        group = { id, title, cells: [] }
        found.set(id, group)
      }
      group.cells.push(
        heatCell({ id: row.uid, name: nameOf(row), health: row.health, values: row.beat }, number),
      )
    }
    const all = [...found.values()].sort((a, b) => order.compare(a.title, b.title))
    for (const { cells } of all) cells.sort((a, b) => order.compare(a.name, b.name))
    return all
  }, [rows, places, i18n, t])
  const values = useMemo(heatValues, [])
  const open = useCallback((uid: string) => void navigate(`/appliances/${uid}`), [navigate])
  return (
    <HeatMap
      label={label}
      groups={groups}
      values={values}
      onOpen={open}
      {...(height === undefined ? {} : { height })}
    />
  )
}
