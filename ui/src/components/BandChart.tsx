import { useLingui } from '@lingui/react/macro'
import { useComputedColorScheme } from '@mantine/core'
import { type ReactNode, useEffect, useRef } from 'react'
import uPlot from 'uplot'
import type { Band } from '../domain/history.ts'
import classes from './Chart.module.css'

interface Props {
  label: string
  band: Band
  /** Upper end of the axis, for percentages. */
  max?: number
  format: (value: number) => string
  /** Times on the axis. */
  clock: (at: number, span: number) => string
  from: number
  to: number
  onZoom: (from: number, to: number) => void
  /** At the right of the label. */
  tools?: ReactNode
}

const HEIGHT = 150
/** Pixels that somebody has to drag for it to be meant. */
const LEAST = 6

/** The mean of a value over time, in the band between its least and its most. A part is dragged over to be looked at closer. */
export function BandChart({ label, band, max, format, clock, from, to, onZoom, tools }: Props) {
  const { t } = useLingui()
  const scheme = useComputedColorScheme('light')
  const holder = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLElement>(null)
  const chart = useRef<uPlot | null>(null)
  const latest = useRef({ band, from, to, format, clock, onZoom })
  latest.current = { band, from, to, format, clock, onZoom }
  const known = band.mid.filter((value) => value !== null)
  const last = known.at(-1)
  const usual = last === undefined ? '–' : format(last)

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read from the page when the scheme changes
  useEffect(() => {
    const element = holder.current
    if (!element || !hasCanvas()) return
    const style = getComputedStyle(element)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const link = colour('--muster-link')
    const axis = {
      stroke: colour('--mantine-color-dimmed'),
      font: '11px "Inter Variable", sans-serif',
      grid: { stroke: colour('--muster-line'), width: 1 },
      ticks: { show: false },
      gap: 6,
      size: 28,
    }
    const edge = { stroke: 'transparent', width: 0, points: { show: false }, spanGaps: false }
    const width = () => Math.max(120, element.clientWidth)
    const made = new uPlot(
      {
        width: width(),
        height: HEIGHT,
        cursor: {
          drag: { x: true, y: false, setScale: false },
          points: { size: 6 },
          // What is dragged over in one chart is not dragged over in all of them: it would be looked at closer as often.
          sync: {
            key: 'history',
            setSeries: false,
            filters: { pub: (type) => type !== 'mousedown' && type !== 'mouseup' },
          },
        },
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: { range: () => [latest.current.from, latest.current.to] },
          y: { range: (_, low, high) => (max === undefined ? around(low, high) : [0, max]) },
        },
        axes: [
          {
            ...axis,
            space: 74,
            values: (_, ticks) =>
              ticks.map((at) => latest.current.clock(at, latest.current.to - latest.current.from)),
          },
          {
            ...axis,
            size: (_, labels) =>
              Math.max(46, Math.max(0, ...(labels ?? []).map((text) => text.length)) * 6.5 + 12),
            values: (_, ticks) => ticks.map((value) => latest.current.format(value)),
          },
        ],
        bands: [{ series: [3, 1], fill: `${link}33` }],
        series: [{}, edge, { stroke: link, width: 1.5, points: { show: false }, spanGaps: false }, edge],
        hooks: {
          setSelect: [
            (plot) => {
              const { left, width: long } = plot.select
              if (long < LEAST) return
              const begin = plot.posToVal(left, 'x')
              const end = plot.posToVal(left + long, 'x')
              plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
              latest.current.onZoom(Math.floor(begin), Math.ceil(end))
            },
          ],
          setCursor: [
            (plot) => {
              const { idx } = plot.cursor
              const value = idx == null ? null : latest.current.band.mid[idx]
              const at = idx == null ? undefined : latest.current.band.at[idx]
              if (!readout.current) return
              readout.current.textContent =
                value == null || at === undefined
                  ? (readout.current.dataset.usual ?? '')
                  : `${latest.current.clock(at, 0)}  ${latest.current.format(value)}`
            },
          ],
        },
      },
      [band.at, band.low, band.mid, band.high],
      element,
    )
    chart.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: width(), height: HEIGHT }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      chart.current = null
    }
  }, [scheme, max])

  // biome-ignore lint/correctness/useExhaustiveDependencies: a moved window of time is drawn too
  useEffect(() => {
    chart.current?.setData([band.at, band.low, band.mid, band.high])
  }, [band, from, to])

  const lows = band.low.filter((value) => value !== null)
  const highs = band.high.filter((value) => value !== null)
  const said =
    last === undefined
      ? t`${label}: no values`
      : t`${label}: last ${format(last)}, lowest ${format(Math.min(...lows))}, highest ${format(Math.max(...highs))}`
  return (
    <figure className={classes.figure}>
      <figcaption className={classes.caption}>
        <span>{label}</span>
        {tools}
        <b ref={readout} data-usual={usual} className="num">
          {usual}
        </b>
      </figcaption>
      <div ref={holder} className={classes.tall} role="img" aria-label={said} />
    </figure>
  )
}

function around(low: number | null, high: number | null): [number, number] {
  const top = high ?? 1
  const bottom = low !== null && low > top * 0.7 && low > 100 ? low - (top - low) : Math.min(0, low ?? 0)
  return [bottom, top <= bottom ? bottom + 1 : top + (top - bottom) * 0.12]
}

/** A test's DOM draws nothing. */
function hasCanvas(): boolean {
  return typeof ResizeObserver !== 'undefined' && document.createElement('canvas').getContext?.('2d') != null
}
