import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconListDetails } from '@tabler/icons-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { Link, useNavigate } from 'react-router'
import type { ApplianceRow, ProblemView } from '../bindings.ts'
import { stateBadge } from '../components/badge.ts'
import { type HeatGroup, HeatMap } from '../components/HeatMap.tsx'
import { heatCell, heatValues } from '../components/heatCells.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useFleet, useSession } from '../store/context.tsx'
import classes from './AppliancesPage.module.css'
import { NoAppliances } from './NoAppliances.tsx'

/** Batches of events that come close together are drawn once. */
const SETTLE_MS = 250

/** Every appliance that this console knows, one cell each, by site. */
export function MapPage() {
  const { t, i18n } = useLingui()
  const navigate = useNavigate()
  const rows = useRows()
  const sites = useFleet((s) => s.sites)
  const isReady = useFleet((s) => s.ready)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const groups = useMemo((): HeatGroup[] => {
    const number = new Intl.NumberFormat(i18n.locale, { maximumFractionDigits: 1 })
    const order = new Intl.Collator(i18n.locale, { numeric: true })
    const names = new Map(sites.map(({ id, name }) => [id, name]))
    const found = new Map<string, HeatGroup>()
    for (const row of rows) {
      const title = row.site === null ? t`Without a site` : (names.get(row.site) ?? `#${row.site}`)
      const id = String(row.site)
      const group = found.get(id) ?? { id, title, cells: [] }
      found.set(id, group)
      group.cells.push(
        heatCell(
          {
            id: row.uid,
            name: nameOf(row),
            health: row.health,
            // Of what is not configured no beats are expected: how far it is says more.
            state: row.state === 'configured' ? undefined : { word: row.state, badge: stateBadge(row.state) },
            values: row.values,
          },
          number,
        ),
      )
    }
    const all = [...found.values()].sort((a, b) => order.compare(a.title, b.title))
    for (const { cells } of all) cells.sort((a, b) => order.compare(a.name, b.name))
    return all
  }, [rows, sites, i18n, t])
  const values = useMemo(heatValues, [])
  const open = useCallback((uid: string) => void navigate(`/appliances/${uid}`), [navigate])
  return (
    <div className={classes.page}>
      <header className={classes.toolbar}>
        <h1 className={classes.title}>
          <Trans>Map of the fleet</Trans>
        </h1>
        <div className={classes.grow} />
        <Button
          component={Link}
          to="/"
          variant="default"
          data-testid="as-list"
          leftSection={<IconListDetails size={15} aria-hidden />}
        >
          <Trans>As a list</Trans>
        </Button>
      </header>
      {problem ? (
        <div className={classes.problem}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      {isReady && rows.length === 0 ? (
        <NoAppliances onProblem={setProblem} />
      ) : (
        <div className={classes.map}>
          <HeatMap label={t`Map of the fleet`} groups={groups} values={values} onOpen={open} />
        </div>
      )}
    </div>
  )
}

const nameOf = (row: ApplianceRow) => row.settings.host_name || row.serial || row.mac

/** The rows of the store, anew a moment after some of them changed. */
function useRows(): readonly ApplianceRow[] {
  const { fleet } = useSession()
  const [rows, setRows] = useState<readonly ApplianceRow[]>(() => [...fleet.appliances()])
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null
    setRows([...fleet.appliances()])
    const stop = fleet.onRows(() => {
      timer ??= setTimeout(() => {
        timer = null
        setRows([...fleet.appliances()])
      }, SETTLE_MS)
    })
    return () => {
      stop()
      if (timer !== null) clearTimeout(timer)
    }
  }, [fleet])
  return rows
}
