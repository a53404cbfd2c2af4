import { plural } from '@lingui/core/macro'
import { Trans, useLingui } from '@lingui/react/macro'
import { SegmentedControl, Table } from '@mantine/core'
import { type KeyboardEvent, useCallback, useState } from 'react'
import { clockSpan } from '../domain/months.ts'
import { type Cell, type CellState, type Cells, runsOf, type Strip } from '../domain/strip.ts'
import { absolute } from '../domain/time.ts'
import classes from './BeatStrip.module.css'

const STATES: readonly CellState[] = [
  'arrived',
  'missed_some',
  'missed_all',
  'maintenance',
  'noc_away',
  'not_expected',
]

/** A day and three months of beats: what arrived, what did not, and why. As strips, or as tables. */
export function BeatStrip({ strip }: { strip: Strip }) {
  const { t } = useLingui()
  const [form, setForm] = useState('strips')
  const name = useStateName()
  const seen = STATES.filter((state) =>
    [strip.day, strip.days].some(({ cells }) => cells.some((cell) => cell.state === state)),
  )
  return (
    <section aria-label={t`Beats`} data-testid="beat-strip">
      <div className={classes.head}>
        <h2>
          <Trans>Beats</Trans>
        </h2>
        <ul className={classes.legend} aria-label={t`Legend`}>
          {seen.map((state) => (
            <li key={state}>
              <span className={classes.key} aria-hidden>
                <i className={classes.cell} data-state={state} />
              </span>
              {name(state)}
            </li>
          ))}
        </ul>
        <SegmentedControl
          size="xs"
          aria-label={t`Show what arrived as`}
          data-testid="strip-form"
          value={form}
          onChange={setForm}
          data={[
            { value: 'strips', label: t`Strips` },
            { value: 'tables', label: t`Tables` },
          ]}
        />
      </div>
      {form === 'strips' ? (
        <>
          <OneStrip label={t`Last 24 hours`} of={strip.day} testid="strip-day" />
          <OneStrip label={t`Last 90 days`} of={strip.days} testid="strip-days" />
        </>
      ) : (
        <div className={classes.tables}>
          <Runs label={t`Last 24 hours`} of={strip.day} />
          <Runs label={t`Last 90 days`} of={strip.days} />
        </div>
      )}
    </section>
  )
}

/** Cells beside each other. Arrow keys walk along them; what is under the pointer or the keys is said below. */
function OneStrip({ label, of, testid }: { label: string; of: Cells; testid: string }) {
  const { cells, cell_s } = of
  const [at, setAt] = useState<number | null>(null)
  const words = useCellWords(cell_s)
  const summary = useSummary(of)
  const last = cells.length - 1
  const onKey = (event: KeyboardEvent) => {
    const from = at ?? last
    const next = {
      ArrowLeft: from - 1,
      ArrowRight: from + 1,
      PageUp: from - 10,
      PageDown: from + 10,
      Home: 0,
      End: last,
    }[event.key]
    if (next === undefined) return
    event.preventDefault()
    setAt(Math.max(0, Math.min(last, next)))
  }
  const shown = at === null ? undefined : cells[at]
  return (
    <div className={classes.strip}>
      <span className={classes.label}>{label}</span>
      <div
        className={classes.cells}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={at ?? last}
        aria-valuetext={shown ? words(shown) : summary}
        data-testid={testid}
        onKeyDown={onKey}
        onBlur={() => setAt(null)}
        onPointerLeave={() => setAt(null)}
      >
        {cells.map((cell, n) => (
          <div
            key={cell.start}
            className={classes.slot}
            data-current={n === at || undefined}
            onPointerEnter={() => setAt(n)}
          >
            <i className={classes.cell} data-state={cell.state} />
          </div>
        ))}
      </div>
      <span className={classes.said} aria-hidden data-testid={`${testid}-said`}>
        {shown ? words(shown) : summary}
      </span>
    </div>
  )
}

function Runs({ label, of }: { label: string; of: Cells }) {
  const { t, i18n } = useLingui()
  const name = useStateName()
  return (
    <div>
      <div className={classes.label} aria-hidden>
        {label}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <section className={classes.box} tabIndex={0} aria-label={t`${label}: what arrived`}>
        <Table stickyHeader aria-label={label}>
          <Table.Thead>
            <Table.Tr>
              {[
                t`From`,
                t`Until`,
                t`State`,
                t`Beats`,
                t`About expected`,
                t`Silent`,
                t`Maintenance`,
                t`NOC away`,
              ].map((head) => (
                <Table.Th key={head}>{head}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {runsOf(of)
              .reverse()
              .map((run) => (
                <Table.Tr key={run.start}>
                  <Table.Td>{absolute(run.start, i18n.locale)}</Table.Td>
                  <Table.Td>{absolute(run.end, i18n.locale)}</Table.Td>
                  <Table.Td>{name(run.state)}</Table.Td>
                  <Table.Td>{i18n.number(run.beats)}</Table.Td>
                  <Table.Td>{i18n.number(run.expected)}</Table.Td>
                  <Table.Td>{clockSpan(run.silent_s)}</Table.Td>
                  <Table.Td>{clockSpan(run.maintenance_s)}</Table.Td>
                  <Table.Td>{clockSpan(run.noc_away_s)}</Table.Td>
                </Table.Tr>
              ))}
          </Table.Tbody>
        </Table>
      </section>
    </div>
  )
}

function useStateName(): (state: CellState) => string {
  const { t } = useLingui()
  return (state) =>
    ({
      arrived: t`Arrived`,
      missed_some: t`Some missed`,
      missed_all: t`Missed`,
      maintenance: t`Maintenance`,
      noc_away: t`NOC away`,
      not_expected: t`Nothing expected`,
    })[state]
}

/** One cell in words: its exact time, what came, and why the rest did not. */
function useCellWords(cell_s: number): (cell: Cell) => string {
  const { t, i18n } = useLingui()
  const name = useStateName()
  return useCallback(
    (cell: Cell) => {
      const day = new Intl.DateTimeFormat(i18n.locale, { dateStyle: 'medium', timeZone: 'UTC' })
      const hour = new Intl.DateTimeFormat(i18n.locale, { hour: '2-digit', minute: '2-digit', hour12: false })
      const from = cell.start * 1000
      const when =
        cell_s >= 86_400
          ? t`${day.format(from)} (UTC)`
          : `${hour.format(from)}–${hour.format(from + cell_s * 1000)}`
      const parts = [`${when}: ${name(cell.state)}`]
      if (cell.expected > 0)
        parts.push(t`${i18n.number(cell.beats)} of about ${i18n.number(cell.expected)} beats`)
      else if (cell.beats > 0) parts.push(plural(cell.beats, { one: '# beat', other: '# beats' }))
      if (cell.silent_s > 0) parts.push(t`silent for ${clockSpan(cell.silent_s)}`)
      if (cell.maintenance_s > 0) parts.push(t`maintenance for ${clockSpan(cell.maintenance_s)}`)
      if (cell.noc_away_s > 0) parts.push(t`NOC away for ${clockSpan(cell.noc_away_s)}`)
      return parts.join(' · ')
    },
    [cell_s, t, i18n, name],
  )
}

function useSummary({ cells }: Cells): string {
  const { t, i18n } = useLingui()
  const sum = (of: (cell: Cell) => number) => cells.reduce((all, cell) => all + of(cell), 0)
  const [beats, silent] = [sum((cell) => cell.beats), sum((cell) => cell.silent_s)]
  const came = t`${i18n.number(beats)} of about ${i18n.number(sum((cell) => cell.expected))} beats`
  return silent > 0 ? `${came} · ${t`silent for ${clockSpan(silent)}`}` : came
}
