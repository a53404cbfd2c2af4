import { useLingui } from '@lingui/react/macro'
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import classes from './Chart.module.css'

interface Props {
  label: string
  at: readonly number[]
  values: readonly (number | null)[]
  /** Upper end of the axis, for percentages. */
  max?: number
  format: (value: number) => string
  from: number
  to: number
}

/** One value over time. The canvas says its essence in words; a table beside it has the rest. */
export function Chart({ label, at, values, max, format, from, to }: Props) {
  const { t } = useLingui()
  const scheme = useComputedColorScheme('light')
  const holder = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const latest = useRef({ at, values, from, to, format })
  latest.current = { at, values, from, to, format }
  const known = values.filter((value) => value !== null)
  const last = known.at(-1)

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read from the page when the scheme changes
  useEffect(() => {
    const element = holder.current
    if (!element || !hasCanvas()) return
    const style = getComputedStyle(element)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const made = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height: 120,
        cursor: { drag: { setScale: false }, points: { size: 6 } },
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: { range: () => [latest.current.from, latest.current.to] },
          y: { range: (_, low, high) => (max === undefined ? softRange(low, high) : [0, max]) },
        },
        axes: [
          { ...axis(colour), space: 60, values: (_, ticks) => ticks.map(clock) },
          {
            ...axis(colour),
            size: labelRoom,
            values: (_, ticks) => ticks.map((v) => latest.current.format(v)),
          },
        ],
        series: [
          {},
          {
            stroke: colour('--muster-link'),
            width: 1.5,
            fill: `${colour('--muster-link')}1f`,
            points: { show: false },
            spanGaps: false,
          },
        ],
      },
      [[...latest.current.at], [...latest.current.values]],
      element,
    )
    chart.current = made
    const observer = new ResizeObserver(() =>
      made.setSize({ width: Math.max(120, element.clientWidth), height: 120 }),
    )
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = null
    }
  }, [scheme, max])

  // biome-ignore lint/correctness/useExhaustiveDependencies: a moved window of time is drawn too
  useEffect(() => {
    chart.current?.setData([[...at], [...values]])
  }, [at, values, from, to])

  const said =
    known.length > 0 && last !== undefined
      ? t`${label}: now ${format(last)}, lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}`
      : t`${label}: no values`
  return (
    <figure className={classes.figure}>
      <figcaption className={classes.caption}>
        <span>{label}</span>
        <b>{last === undefined ? '–' : format(last)}</b>
      </figcaption>
      <div ref={holder} className={classes.canvas} role="img" aria-label={said} />
    </figure>
  )
}

function axis(colour: (name: string) => string): uPlot.Axis {
  return {
    stroke: colour('--mantine-color-dimmed'),
    font: '11px "Inter Variable", sans-serif',
    grid: { stroke: colour('--muster-line'), width: 1 },
    ticks: { show: false },
    gap: 6,
    size: 28,
  }
}

/** As wide as the longest label: counters grow for years. */
function labelRoom(_: uPlot, labels: string[] | null): number {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length))
  return Math.max(46, longest * 6.5 + 12)
}

/** Hours and minutes: the chart spans a day at most. */
function clock(at: number): string {
  const date = new Date(at * 1000)
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':')
}

function softRange(low: number | null, high: number | null): [number, number] {
  const top = high ?? 1
  const bottom = low !== null && low > top * 0.7 && low > 100 ? low - (top - low) : 0
  return [bottom, top <= bottom ? bottom + 1 : top + (top - bottom) * 0.12]
}

/** A test's DOM draws nothing. */
function hasCanvas(): boolean {
  return typeof ResizeObserver !== 'undefined' && document.createElement('canvas').getContext?.('2d') != null
}
