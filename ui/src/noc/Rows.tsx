import { useLingui } from '@lingui/react/macro'
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react'
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react'
import classes from './Rows.module.css'

export interface Column<T> {
  id: string
  title: string
  /** A part of the width, as in `grid-template-columns`. */
  width: string
  cell: (row: T) => ReactNode
  /** The whole of what may be cut off. */
  full?: (row: T) => string
  /** The NOC's word for the order by this column, if it can be sorted by. */
  sortKey?: string
}

/** The order of a list: the word of its column, with `-` before it the other way around; empty as the NOC gives them. */
export interface Order {
  sort: string
  onSort: (sort: string) => void
}

interface Props<T> {
  label: string
  rows: readonly T[]
  idOf: (row: T) => string
  columns: readonly Column<T>[]
  hasMore: boolean
  /** Called when the end of the rows comes near. */
  onEnd: () => void
  testid: string
  /** Of a list that can be sorted. */
  order?: Order
}

const HEIGHT = 34
/** Rows beyond the edges that are drawn, too, and how near the end is when more is asked for. */
const MARGIN = 8
const NEAR = 40

/** A table of any length that draws what is in sight, and asks for more before its end is. */
export function Rows<T>({ label, rows, idOf, columns, hasMore, onEnd, testid, order }: Props<T>) {
  const { t } = useLingui()
  const box = useRef<HTMLDivElement>(null)
  const [sight, setSight] = useState({ top: 0, height: 800 })

  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const look = () => setSight({ top: element.scrollTop, height: element.clientHeight || 800 })
    look()
    const observer = typeof ResizeObserver === 'undefined' ? null : new ResizeObserver(look)
    observer?.observe(element)
    element.addEventListener('scroll', look, { passive: true })
    return () => {
      observer?.disconnect()
      element.removeEventListener('scroll', look)
    }
  }, [])

  const first = Math.max(0, Math.floor(sight.top / HEIGHT) - MARGIN)
  const last = Math.min(rows.length, Math.ceil((sight.top + sight.height) / HEIGHT) + MARGIN)
  const isNearEnd = hasMore && last + NEAR >= rows.length
  useEffect(() => {
    if (isNearEnd) onEnd()
  }, [isNearEnd, onEnd])

  const template = { gridTemplateColumns: columns.map((column) => column.width).join(' ') }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section ref={box} className={classes.box} tabIndex={0} aria-label={label}>
      {/* biome-ignore lint/a11y/useSemanticElements: rows of a table element cannot be left out */}
      <div
        role="table"
        aria-label={label}
        aria-rowcount={hasMore ? -1 : rows.length + 1}
        data-testid={testid}
      >
        {/* biome-ignore lint/a11y/useSemanticElements: as above */}
        <div role="rowgroup" className={classes.head}>
          {/* biome-ignore lint/a11y/useSemanticElements: as above */}
          {/* biome-ignore lint/a11y/useFocusableInteractive: its cells are what is reached */}
          <div role="row" className={classes.row} style={template} aria-rowindex={1}>
            {columns.map((column) => (
              // biome-ignore lint/a11y/useSemanticElements: as above
              // biome-ignore lint/a11y/useFocusableInteractive: its button is what is reached
              <div key={column.id} role="columnheader" aria-sort={sortOf(column, order)}>
                {order && column.sortKey ? (
                  <SortButton title={column.title} sortKey={column.sortKey} order={order} />
                ) : (
                  column.title
                )}
              </div>
            ))}
          </div>
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: as above */}
        <div role="rowgroup" className={classes.body} style={{ height: rows.length * HEIGHT }}>
          {rows.slice(first, last).map((row, i) => (
            // biome-ignore lint/a11y/useSemanticElements: as above
            // biome-ignore lint/a11y/useFocusableInteractive: its links are what is reached
            <div
              key={idOf(row)}
              role="row"
              className={classes.row}
              style={{ ...template, top: (first + i) * HEIGHT }}
              aria-rowindex={first + i + 2}
              data-row={idOf(row)}
            >
              {columns.map((column) => (
                // biome-ignore lint/a11y/useSemanticElements: as above
                <div key={column.id} role="cell" title={column.full?.(row)}>
                  {column.cell(row)}
                </div>
              ))}
            </div>
          ))}
        </div>
      </div>
      {hasMore ? <p className={classes.more}>{t`Loading…`}</p> : null}
    </section>
  )
}

function sortOf<T>({ sortKey }: Column<T>, order: Order | undefined): 'ascending' | 'descending' | undefined {
  if (!order || !sortKey) return undefined
  if (order.sort === sortKey) return 'ascending'
  return order.sort === `-${sortKey}` ? 'descending' : undefined
}

/** Sorts by a column, then the other way around, then not at all. */
function SortButton({ title, sortKey, order }: { title: string; sortKey: string; order: Order }) {
  const next = { [sortKey]: `-${sortKey}`, [`-${sortKey}`]: '' }[order.sort] ?? sortKey
  const Icon = order.sort === sortKey ? IconArrowUp : order.sort === `-${sortKey}` ? IconArrowDown : null
  return (
    <button
      type="button"
      className={classes.sort}
      data-testid={`sort-${sortKey}`}
      onClick={() => order.onSort(next)}
    >
      {title}
      {Icon ? <Icon size={13} aria-hidden /> : null}
    </button>
  )
}
