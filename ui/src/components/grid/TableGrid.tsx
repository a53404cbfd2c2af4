import type { ColDef, GridApi, GridOptions, RowSelectionOptions } from 'ag-grid-community'
import { AgGridReact } from 'ag-grid-react'
import { useEffect, useMemo, useRef } from 'react'
import { gridTexts, gridTheme } from './setup.ts'

interface Props<T> {
  label: string
  rows: readonly T[]
  idOf: (row: T) => string
  columns: ColDef<T>[]
  /** With check boxes; the ids that are checked. */
  selected?: ReadonlySet<string>
  onSelect?: (ids: Set<string>) => void
  onOpen?: (row: T) => void
}

const SELECTION: RowSelectionOptions = {
  mode: 'multiRow',
  checkboxes: true,
  headerCheckbox: true,
  enableClickSelection: false,
}
const SELECTION_COLUMN: ColDef = { width: 42, minWidth: 42, maxWidth: 42, pinned: 'left', resizable: false }
const DEFAULTS: ColDef = { sortable: true, minWidth: 60 }

/** A plain table of any size; a row whose object stays the same is not drawn again. */
export function TableGrid<T>({ label, rows, idOf, columns, selected, onSelect, onOpen }: Props<T>) {
  const api = useRef<GridApi<T> | null>(null)
  const texts = useMemo(() => gridTexts(), [])
  const isSelecting = selected !== undefined
  const shown = useRef(new Map<string, T>())
  const latest = useRef({ label, rows, idOf, selected, onSelect, onOpen })
  latest.current = { label, rows, idOf, selected, onSelect, onOpen }

  useEffect(() => {
    if (!api.current) return
    shown.current = applyRows(api.current, shown.current, rows, latest.current.idOf)
  }, [rows])

  // Made once: the grid takes a changed function for a changed option.
  const stable = useMemo<GridOptions<T>>(
    () => ({
      getRowId: ({ data }) => latest.current.idOf(data),
      onGridReady: (event) => {
        const { label, rows, idOf, selected = [] } = latest.current
        api.current = event.api
        event.api.setGridAriaProperty('label', label)
        event.api.setGridOption('rowData', [...rows])
        shown.current = new Map(rows.map((row) => [idOf(row), row]))
        const nodes = [...selected].flatMap((id) => event.api.getRowNode(id) ?? [])
        event.api.setNodesSelected({ nodes, newValue: true })
      },
      onSelectionChanged: ({ api, source }) => {
        if (source !== 'api')
          latest.current.onSelect?.(new Set(api.getSelectedNodes().map((node) => node.id as string)))
      },
      onRowDoubleClicked: ({ data }) => data && latest.current.onOpen?.(data),
      onCellKeyDown: ({ event, data }) => {
        if (event instanceof KeyboardEvent && event.key === 'Enter' && data) latest.current.onOpen?.(data)
      },
    }),
    [],
  )

  return (
    <AgGridReact<T>
      {...stable}
      theme={gridTheme}
      localeText={texts}
      loading={false}
      columnDefs={columns}
      defaultColDef={DEFAULTS}
      {...(isSelecting ? { rowSelection: SELECTION as RowSelectionOptions<T> } : {})}
      selectionColumnDef={SELECTION_COLUMN}
      ensureDomOrder
      animateRows={false}
      suppressNoRowsOverlay
      tooltipShowDelay={300}
    />
  )
}

function applyRows<T>(
  api: GridApi<T>,
  before: ReadonlyMap<string, T>,
  rows: readonly T[],
  idOf: (row: T) => string,
): Map<string, T> {
  const now = new Map(rows.map((row) => [idOf(row), row]))
  api.applyTransaction({
    add: [...now].filter(([id]) => !before.has(id)).map(([, row]) => row),
    update: [...now].filter(([id, row]) => before.has(id) && before.get(id) !== row).map(([, row]) => row),
    remove: [...before].filter(([id]) => !now.has(id)).map(([, row]) => row),
  })
  return now
}
