import { useLingui } from '@lingui/react/macro'
import type {
  CellKeyDownEvent,
  ColDef,
  ColumnState,
  FullWidthCellKeyDownEvent,
  GridApi,
  GridOptions,
  RowSelectionOptions,
} from 'ag-grid-community'
import { AgGridReact } from 'ag-grid-react'
import { type Ref, useEffect, useImperativeHandle, useMemo, useRef } from 'react'
import type { ApplianceRow } from '../../bindings.ts'
import { toTsv } from '../../domain/csv.ts'
import type { RowChanges } from '../../store/fleet.ts'
import { copyText } from '../copyText.ts'
import { applianceColumns } from './applianceColumns.ts'
import { gridTexts, gridTheme } from './setup.ts'

/** The rows, and how they change. */
export interface RowSource {
  appliances(): IterableIterator<ApplianceRow>
  onRows(listener: (changes: RowChanges) => void): () => void
}

export interface ColumnChoice {
  id: string
  name: string
  visible: boolean
}

export interface GridHandle {
  columns(): ColumnChoice[]
  showColumn(id: string, visible: boolean): void
  resetColumns(): void
  clearFilters(): void
  focus(): void
}

interface Props {
  ref: Ref<GridHandle>
  fleet: RowSource
  search: string
  /** Whether `passes` hides anything at all; without it the grid need not ask for every row. */
  isFiltered: boolean
  passes: (row: ApplianceRow) => boolean
  showFilters: boolean
  initialColumns: string | null
  initialFilters: Record<string, unknown>
  initialSelection: ReadonlySet<string>
  onColumns: (state: string) => void
  onFilters: (model: Record<string, unknown>) => void
  onSelect: (uids: Set<string>) => void
  onShown: (rows: number) => void
  onOpen: (row: ApplianceRow) => void
}

const SELECTION: RowSelectionOptions<ApplianceRow> = {
  mode: 'multiRow',
  checkboxes: true,
  headerCheckbox: true,
  selectAll: 'filtered',
  // A click must not throw away a selection of hundreds; Space and the boxes select.
  enableClickSelection: false,
}

export function ApplianceGrid(props: Props) {
  const { i18n, t } = useLingui()
  const api = useRef<GridApi<ApplianceRow> | null>(null)
  const latest = useRef(props)
  latest.current = props
  const { fleet, passes, showFilters } = props
  const columns = useMemo(() => applianceColumns(i18n.locale), [i18n.locale])
  const defaults = useMemo<ColDef<ApplianceRow>>(
    () => ({
      filter: 'agTextColumnFilter',
      floatingFilter: showFilters,
      suppressHeaderFilterButton: true,
      minWidth: 60,
      sortable: true,
    }),
    [showFilters],
  )
  const texts = useMemo(() => gridTexts(), [])

  useEffect(
    () =>
      fleet.onRows(({ added, updated, removed }) => {
        api.current?.applyTransactionAsync({ add: added, update: updated, remove: removed })
      }),
    [fleet],
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: the grid must filter again when the chip changes
  useEffect(() => api.current?.onFilterChanged(), [passes])
  useEffect(() => {
    // "4 s ago" grows old by itself; only the cells on screen are drawn anew.
    const timer = setInterval(() => api.current?.refreshCells({ columns: ['last_beat'], force: true }), 1000)
    return () => clearInterval(timer)
  }, [])
  useImperativeHandle(props.ref, () => handle(api), [])

  const stable = useMemo(() => callbacks(api, latest, t`Appliances`), [t])

  return (
    <AgGridReact<ApplianceRow>
      {...stable}
      theme={gridTheme}
      localeText={texts}
      loading={false}
      columnDefs={columns}
      defaultColDef={defaults}
      selectionColumnDef={SELECTION_COLUMN}
      rowSelection={SELECTION}
      quickFilterText={props.search}
      cacheQuickFilter
      ensureDomOrder
      animateRows={false}
      asyncTransactionWaitMillis={50}
      tooltipShowDelay={400}
      suppressDragLeaveHidesColumns
      suppressNoRowsOverlay
    />
  )
}

type Api = { current: GridApi<ApplianceRow> | null }

/** Made once: the grid takes a changed function for a changed option and works through all rows again. */
function callbacks(api: Api, latest: { readonly current: Props }, label: string): GridOptions<ApplianceRow> {
  const saveColumns = () => {
    const state = api.current?.getColumnState()
    if (state) latest.current.onColumns(JSON.stringify(state))
  }
  return {
    getRowId: ({ data }) => data.uid,
    isExternalFilterPresent: () => latest.current.isFiltered,
    doesExternalFilterPass: ({ data }) => data !== undefined && latest.current.passes(data),
    onGridReady: (event) => {
      api.current = event.api
      begin(event.api, latest.current)
      event.api.setGridAriaProperty('label', label)
    },
    onSelectionChanged: ({ api }) =>
      latest.current.onSelect(new Set(api.getSelectedNodes().map((node) => node.id as string))),
    onFilterChanged: ({ api }) => latest.current.onFilters(api.getFilterModel()),
    onModelUpdated: ({ api }) => latest.current.onShown(api.getDisplayedRowCount()),
    onRowDoubleClicked: ({ data }) => data && latest.current.onOpen(data),
    onCellKeyDown: (event) => onKey(event, latest.current.onOpen),
    onColumnMoved: ({ finished }) => finished && saveColumns(),
    onColumnResized: ({ finished, source }) => finished && source === 'uiColumnResized' && saveColumns(),
    onColumnVisible: saveColumns,
    onSortChanged: saveColumns,
  }
}

function begin(api: GridApi<ApplianceRow>, props: Props): void {
  // From here on the grid follows by transactions; what came before is all in the source.
  api.setGridOption('rowData', [...props.fleet.appliances()])
  const state = readColumns(props.initialColumns)
  if (state) api.applyColumnState({ state, applyOrder: true })
  if (Object.keys(props.initialFilters).length > 0) api.setFilterModel(props.initialFilters)
  const nodes = [...props.initialSelection].flatMap((uid) => api.getRowNode(uid) ?? [])
  api.setNodesSelected({ nodes, newValue: true })
  props.onShown(api.getDisplayedRowCount())
}

const SELECTION_COLUMN: ColDef = { width: 42, minWidth: 42, maxWidth: 42, pinned: 'left', resizable: false }

type KeyEvent = CellKeyDownEvent<ApplianceRow> | FullWidthCellKeyDownEvent<ApplianceRow>

function onKey(event: KeyEvent, open: (row: ApplianceRow) => void): void {
  const key = event.event
  if (!(key instanceof KeyboardEvent)) return
  const { api, node, data } = event
  if (key.key === 'Enter' && data) open(data)
  else if (key.key === 'Escape') api.deselectAll()
  else if (key.key === 'a' && (key.ctrlKey || key.metaKey)) {
    key.preventDefault()
    api.selectAll('filtered')
  } else if (key.key === 'c' && (key.ctrlKey || key.metaKey)) copyRows(api, data)
  else if (key.shiftKey && (key.key === 'ArrowDown' || key.key === 'ArrowUp') && node.rowIndex !== null) {
    const next = api.getDisplayedRowAtIndex(node.rowIndex + (key.key === 'ArrowDown' ? 1 : -1))
    api.setNodesSelected({ nodes: [node, ...(next ? [next] : [])], newValue: true })
  }
}

/** The selected rows, else the one in focus, with the columns on screen, for a spreadsheet. */
function copyRows(api: GridApi<ApplianceRow>, focused: ApplianceRow | undefined): void {
  const columns = api.getAllDisplayedColumns().filter((column) => column.getColDef().headerName)
  const nodes = api.getSelectedNodes()
  const picked = nodes.length > 0 ? nodes : api.getRenderedNodes().filter((node) => node.data === focused)
  const header = columns.map((column) => column.getColDef().headerName ?? '')
  const lines = picked.map((rowNode) =>
    columns.map((colKey) => String(api.getCellValue({ rowNode, colKey, useFormatter: true }) ?? '')),
  )
  void copyText(toTsv([header, ...lines]))
}

function handle(api: Api): GridHandle {
  return {
    columns: () =>
      (api.current?.getColumns() ?? []).map((column) => ({
        id: column.getColId(),
        name: column.getColDef().headerName ?? '',
        visible: column.isVisible(),
      })),
    showColumn: (id, visible) => api.current?.setColumnsVisible([id], visible),
    resetColumns: () => api.current?.resetColumnState(),
    clearFilters: () => api.current?.setFilterModel(null),
    focus: () => {
      const [first] = api.current?.getAllDisplayedColumns() ?? []
      if (first && (api.current?.getDisplayedRowCount() ?? 0) > 0) api.current?.setFocusedCell(0, first)
    },
  }
}

/** What an older version, or a stranger, wrote must not keep the grid from showing. */
function readColumns(text: string | null): ColumnState[] | null {
  try {
    const state: unknown = JSON.parse(text ?? 'null')
    const isState = (one: unknown): one is ColumnState =>
      typeof one === 'object' && one !== null && 'colId' in one && typeof one.colId === 'string'
    return Array.isArray(state) && state.every(isState) ? state : null
  } catch {
    return null
  }
}
