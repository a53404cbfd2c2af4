import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { ActionIcon, Button, Kbd, TextInput, Tooltip } from '@mantine/core'
import { IconFilter, IconLayoutGrid, IconSearch, IconSettingsAutomation, IconX } from '@tabler/icons-react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { Link, useLocation, useNavigate } from 'react-router'
import type { ApplianceRow, ProblemView } from '../bindings.ts'
import { groupName } from '../components/badge.ts'
import { ApplianceGrid, type GridHandle } from '../components/grid/ApplianceGrid.tsx'
import { ColumnChooser } from '../components/grid/ColumnChooser.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useShortcut } from '../components/shortcuts.ts'
import { useFleet, useSession } from '../store/context.tsx'
import { GROUPS, isIn, type StateGroup } from '../store/fleet.ts'
import classes from './AppliancesPage.module.css'
import { DiscoverButton, DiscoveryStatus } from './DiscoveryStatus.tsx'
import { NoAppliances, NoMatches } from './NoAppliances.tsx'

const COLUMNS_KEY = 'appliances.columns'

/** The discovery grid: the roll of the site. */
export function AppliancesPage() {
  const { t, i18n } = useLingui()
  const { backend, fleet, view } = useSession()
  const navigate = useNavigate()
  const location = useLocation()
  const counts = useFleet((s) => s.counts)
  const isReady = useFleet((s) => s.ready)
  const grid = useRef<GridHandle>(null)
  const searchBox = useRef<HTMLInputElement>(null)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [search, setSearch] = useState(view.search)
  const [group, setGroup] = useState(view.group)
  const [showFilters, setShowFilters] = useState(view.showFilters)
  const [selected, setSelected] = useState(view.selection.size)
  const [shown, setShown] = useState(counts.all)
  const [columns, setColumns] = useState<string | null | undefined>(undefined)

  const [draft, setDraft] = useState(view.draft)

  Object.assign(view, { search, group, showFilters })

  useEffect(() => {
    backend.getPreference(COLUMNS_KEY).then(setColumns, () => setColumns(null))
  }, [backend])

  const focusSearch = useCallback(() => {
    searchBox.current?.focus()
    searchBox.current?.select()
  }, [])
  useEffect(() => {
    const state: unknown = location.state
    if (state && typeof state === 'object' && 'focus' in state) focusSearch()
  }, [location.state, focusSearch])

  // The grid follows some milliseconds behind; only what is hidden on purpose is told as hidden.
  const isNarrowed = search !== '' || group !== null || Object.keys(view.filters).length > 0
  const target = selected > 0 ? selected : counts.unconfigured
  const configure = () => {
    const uids =
      selected > 0
        ? [...view.selection].filter((uid) => fleet.appliance(uid))
        : [...fleet.appliances()].filter((row) => isIn('unconfigured', row)).map((row) => row.uid)
    if (uids.length === 0) return
    view.draft = null
    void navigate('/configure', { state: { uids } })
  }
  useShortcut('c', configure)
  const onSelect = useCallback(
    (uids: Set<string>) => {
      view.selection = uids
      setSelected(uids.size)
    },
    [view],
  )
  const open = useCallback((row: ApplianceRow) => void navigate(`/appliances/${row.uid}`), [navigate])
  const clearFilters = () => {
    setSearch('')
    setGroup(null)
    grid.current?.clearFilters()
  }
  const passes = useCallback((row: ApplianceRow) => group === null || isIn(group, row), [group])

  return (
    <div className={classes.page}>
      <header className={classes.toolbar}>
        <h1 className={classes.title}>
          <Trans>Appliances</Trans>
        </h1>
        <DiscoverButton onProblem={setProblem} />
        <Button
          data-testid="configure"
          variant="default"
          leftSection={<IconSettingsAutomation size={16} aria-hidden />}
          disabled={target === 0}
          onClick={configure}
        >
          <Plural
            value={target}
            _0="Configure appliances…"
            one="Configure # appliance…"
            other="Configure # appliances…"
          />
        </Button>
        <div className={classes.grow} />
        <TextInput
          ref={searchBox}
          className={classes.search}
          data-testid="search"
          data-search
          aria-label={t`Search all columns`}
          placeholder={t`Search all columns`}
          leftSection={<IconSearch size={15} aria-hidden />}
          rightSection={
            search ? (
              <ActionIcon size="sm" aria-label={t`Clear the search`} onClick={() => setSearch('')}>
                <IconX size={14} />
              </ActionIcon>
            ) : (
              <Kbd size="xs">/</Kbd>
            )
          }
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') setSearch('')
            if (event.key === 'ArrowDown') grid.current?.focus()
          }}
        />
        <Tooltip label={t`Filters by column`}>
          <ActionIcon
            variant={showFilters ? 'light' : 'default'}
            color={showFilters ? 'indigo' : 'gray'}
            size={30}
            aria-label={t`Filters by column`}
            aria-pressed={showFilters}
            onClick={() => setShowFilters(!showFilters)}
          >
            <IconFilter size={16} />
          </ActionIcon>
        </Tooltip>
        <ColumnChooser grid={grid} />
        <Tooltip label={t`As a map`}>
          <ActionIcon
            component={Link}
            to="/map"
            variant="default"
            size={30}
            aria-label={t`As a map`}
            data-testid="as-map"
          >
            <IconLayoutGrid size={16} />
          </ActionIcon>
        </Tooltip>
      </header>
      <div className={classes.chips}>
        <fieldset className={classes.group} aria-label={t`Show by state`}>
          <Chip
            label={t`All`}
            count={counts.all}
            on={group === null}
            onClick={() => setGroup(null)}
            testid="count-all"
          />
          {GROUPS.map((name) => (
            <Chip
              key={name}
              testid={`count-${name}`}
              tone={name}
              label={groupName(name)}
              count={counts[name]}
              on={group === name}
              onClick={() => setGroup(group === name ? null : name)}
            />
          ))}
        </fieldset>
        <DiscoveryStatus />
        <div className={classes.grow} />
        <output className={classes.rowCount} data-testid="row-count">
          {!isNarrowed || shown === counts.all ? (
            <Plural value={counts.all} one="# appliance" other="# appliances" />
          ) : (
            <Trans>
              {i18n.number(shown)} of {i18n.number(counts.all)} appliances
            </Trans>
          )}
          {selected > 0 ? (
            <>
              {' · '}
              <Trans>{i18n.number(selected)} selected</Trans>
            </>
          ) : null}
        </output>
      </div>
      {draft ? (
        <div className={classes.draft} data-testid="draft">
          <Plural
            value={draft.uids.length}
            one="A configuration of # appliance is being prepared."
            other="A configuration of # appliances is being prepared."
          />
          <Button size="compact-xs" onClick={() => void navigate('/configure')}>
            <Trans>Continue</Trans>
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => {
              view.draft = null
              setDraft(null)
            }}
          >
            <Trans>Discard</Trans>
          </Button>
        </div>
      ) : null}
      {problem ? (
        <div className={classes.problem}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      <div className={classes.grid}>
        {columns === undefined || !isReady ? null : (
          <ApplianceGrid
            ref={grid}
            fleet={fleet}
            search={search}
            isFiltered={group !== null}
            passes={passes}
            showFilters={showFilters}
            initialColumns={columns}
            initialFilters={view.filters}
            initialSelection={view.selection}
            onColumns={(state) => backend.setPreference(COLUMNS_KEY, state).catch(() => undefined)}
            onFilters={(model) => {
              view.filters = model
            }}
            onSelect={onSelect}
            onShown={setShown}
            onOpen={open}
          />
        )}
        {isReady && counts.all === 0 ? (
          <div className={classes.over}>
            <NoAppliances onProblem={setProblem} />
          </div>
        ) : null}
        {counts.all > 0 && shown === 0 && isNarrowed ? (
          <div className={classes.over}>
            <NoMatches onClear={clearFilters} />
          </div>
        ) : null}
      </div>
    </div>
  )
}

interface ChipProps {
  label: string
  count: number
  on: boolean
  testid: string
  tone?: StateGroup
  onClick: () => void
}

function Chip({ label, count, on, testid, tone, onClick }: ChipProps) {
  const { i18n } = useLingui()
  return (
    <button
      type="button"
      className={classes.chip}
      aria-pressed={on}
      data-tone={tone}
      data-empty={count === 0}
      onClick={onClick}
    >
      {label} <b data-testid={testid}>{i18n.number(count)}</b>
    </button>
  )
}
