import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, Kbd, Tooltip } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { IconArrowBarDown, IconRestore } from '@tabler/icons-react'
import { type Ref, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { type CellProps, type Column, DataSheetGrid, type DataSheetGridRef } from 'react-datasheet-grid'
import type { CellError, EditedRow, PlanRowView } from '../bindings.ts'
import { type Field, shownFields } from '../domain/settings.ts'
import { cleanPasted, fillDown } from '../domain/sheet.ts'
import { fieldName } from './fields.ts'
import classes from './PlanSheet.module.css'

export interface SheetHandle {
  /** Moves the cursor to a cell, so that it shows. */
  jumpTo: (uid: string, field: string) => void
}

interface Props {
  ref?: Ref<SheetHandle>
  plan: readonly PlanRowView[]
  rows: readonly EditedRow[]
  errors: readonly CellError[]
  onChange: (rows: EditedRow[]) => void
  onReset: () => void
}

type Range = NonNullable<DataSheetGridRef['selection']>

/** What each cell needs to know of its surroundings; read when drawn, so that the columns never change. */
interface Surroundings {
  plan: ReadonlyMap<string, PlanRowView>
  errors: ReadonlyMap<string, string>
}

/** The plan as a spreadsheet: edit any cell, fill down, copy and paste. */
export function PlanSheet({ ref, plan, rows, errors, onChange, onReset }: Props) {
  const { t } = useLingui()
  const { ref: box, height } = useElementSize()
  const sheet = useRef<DataSheetGridRef>(null)
  const selection = useRef<Range | null>(null)
  const around = useMemo<Surroundings>(
    () => ({
      plan: new Map(plan.map((row) => [row.uid, row])),
      errors: joined(errors),
    }),
    [plan, errors],
  )
  const [wantsIpv6, setWantsIpv6] = useState(false)
  const hasIpv6 = shownFields(settingsOf(plan, rows)).includes('address6')
  const fields = useMemo(() => shownFields([], hasIpv6 || wantsIpv6), [hasIpv6, wantsIpv6])
  const columns = useMemo(() => sheetColumns(fields, around), [fields, around])

  useImperativeHandle(ref, () => ({
    jumpTo: (uid, field) => {
      const row = rows.findIndex((one) => one.uid === uid)
      if (row >= 0) sheet.current?.setActiveCell({ col: field, row })
    },
  }))

  const fill = () => {
    const chosen = selection.current
    if (!chosen) return
    const { min, max } = chosen
    const to = max.row > min.row ? max.row : rows.length - 1
    let filled = [...rows]
    for (const field of fields.slice(Math.max(0, min.col - READ_ONLY), Math.max(0, max.col - READ_ONLY + 1)))
      filled = fillDown(filled, field, min.row, to)
    onChange(filled)
  }

  return (
    <div className={classes.sheet}>
      <div className={classes.tools}>
        <Tooltip
          label={t`Copies the first selected cell downwards; host names and addresses count on`}
          w={260}
        >
          <Button
            variant="default"
            data-testid="fill-down"
            leftSection={<IconArrowBarDown size={15} aria-hidden />}
            onClick={fill}
          >
            <Trans>Fill down</Trans>
          </Button>
        </Tooltip>
        <Button variant="default" leftSection={<IconRestore size={15} aria-hidden />} onClick={onReset}>
          <Trans>Back to the plan</Trans>
        </Button>
        {hasIpv6 ? null : (
          <Checkbox
            size="xs"
            data-testid="with-ipv6"
            label={t`IPv6`}
            title={t`Shows the columns for an IPv6 address and gateway beside IPv4`}
            checked={wantsIpv6}
            onChange={(event) => setWantsIpv6(event.currentTarget.checked)}
          />
        )}
        <span className="quiet">
          <Trans>
            Type to change a cell, <Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">V</Kbd> pastes from a spreadsheet,{' '}
            <Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">D</Kbd> fills down. Point at a cell to see which rule
            gave it.
          </Trans>
        </span>
      </div>
      <div
        className={classes.box}
        ref={box}
        data-testid="plan-sheet"
        onKeyDownCapture={(event) => {
          if (event.key !== 'd' || !(event.ctrlKey || event.metaKey)) return
          event.preventDefault()
          fill()
        }}
      >
        <DataSheetGrid<EditedRow>
          // It measures its columns once.
          key={fields.length}
          ref={sheet}
          value={rows as EditedRow[]}
          columns={columns}
          onChange={onChange}
          onSelectionChange={({ selection: now }) => {
            if (now) selection.current = now
          }}
          onActiveCellChange={({ cell }) => {
            // Without a range the cell alone is what is selected.
            if (cell) selection.current = { min: cell, max: cell }
          }}
          rowKey="uid"
          lockRows
          disableContextMenu
          height={Math.max(160, height)}
          rowHeight={30}
          headerRowHeight={32}
          addRowsComponent={false}
          gutterColumn={{ basis: 44, minWidth: 44 }}
        />
      </div>
    </div>
  )
}

const READ_ONLY = 1
/** Of a cell, and the least when there are many columns. */
const WIDTHS: Partial<Record<Field, [number, number]>> = {
  host_name: [172, 150],
  domain: [172, 150],
  address6: [220, 190],
  gateway6: [200, 160],
}
const WIDTH: [number, number] = [124, 112]

function* settingsOf(plan: readonly PlanRowView[], rows: readonly EditedRow[]) {
  for (const { settings, current } of plan) yield* [settings, current]
  for (const { settings } of rows) yield settings
}

function sheetColumns(
  fields: readonly Field[],
  around: Surroundings,
): Partial<Column<EditedRow, CellData, string>>[] {
  const mac: Partial<Column<EditedRow, CellData, string>> = {
    id: 'mac',
    title: 'MAC',
    component: MacCell,
    columnData: { around, field: 'host_name' },
    disabled: true,
    basis: 150,
    minWidth: 150,
    grow: 0,
    shrink: 0,
    copyValue: ({ rowData }) => around.plan.get(rowData.uid)?.mac ?? '',
  }
  return [mac, ...fields.map((field) => settingColumn(field, around))]
}

interface CellData {
  around: Surroundings
  field: Field
}

function settingColumn(field: Field, around: Surroundings): Partial<Column<EditedRow, CellData, string>> {
  const put = (row: EditedRow, value: string): EditedRow => ({
    ...row,
    settings: { ...row.settings, [field]: value },
  })
  const [basis, minWidth] = WIDTHS[field] ?? WIDTH
  return {
    id: field,
    title: fieldName(field),
    component: SettingCell,
    columnData: { around, field },
    basis,
    minWidth,
    cellClassName: ({ rowData }) =>
      around.errors.has(`${rowData.uid} ${field}`)
        ? classes.wrong
        : around.plan.get(rowData.uid)?.settings[field] !== rowData.settings[field]
          ? classes.edited
          : undefined,
    copyValue: ({ rowData }) => rowData.settings[field],
    pasteValue: ({ rowData, value }) => put(rowData, cleanPasted(value)),
    deleteValue: ({ rowData }) => put(rowData, ''),
    isCellEmpty: ({ rowData }) => rowData.settings[field] === '',
  }
}

function MacCell({ rowData, columnData }: CellProps<EditedRow, CellData>) {
  const row = columnData.around.plan.get(rowData.uid)
  return (
    <span className={`${classes.mac} mono`} title={row?.model}>
      {row?.mac}
    </span>
  )
}

function SettingCell({
  rowData,
  setRowData,
  focus,
  columnData: { around, field },
}: CellProps<EditedRow, CellData>) {
  const { t } = useLingui()
  const input = useRef<HTMLInputElement>(null)
  const before = useRef('')
  const value = rowData.settings[field]
  const latest = useRef(value)
  latest.current = value
  const row = around.plan.get(rowData.uid)
  const error = around.errors.get(`${rowData.uid} ${field}`)
  const rule = row?.rules[field]
  useLayoutEffect(() => {
    if (focus) {
      before.current = latest.current
      input.current?.focus()
      input.current?.select()
    } else input.current?.blur()
  }, [focus])
  const set = (text: string) => setRowData({ ...rowData, settings: { ...rowData.settings, [field]: text } })
  return (
    <span className={classes.cell} title={error ?? (rule ? t`From: ${rule}` : undefined)}>
      <input
        ref={input}
        className="dsg-input"
        tabIndex={-1}
        style={{ pointerEvents: focus ? 'auto' : 'none' }}
        aria-label={`${fieldName(field)}, ${row?.mac ?? ''}`}
        aria-invalid={error !== undefined}
        spellCheck={false}
        value={value}
        onChange={(event) => set(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') set(before.current)
        }}
      />
    </span>
  )
}

function joined(errors: readonly CellError[]): Map<string, string> {
  const map = new Map<string, string>()
  for (const { uid, field, message } of errors) {
    const key = `${uid} ${field}`
    const other = map.get(key)
    map.set(key, other ? `${other}\n${message}` : message)
  }
  return map
}
