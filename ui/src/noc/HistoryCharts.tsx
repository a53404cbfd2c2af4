import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Chip, Loader, NativeSelect, SegmentedControl } from '@mantine/core'
import {
  IconArrowBackUp,
  IconChartLine,
  IconChevronLeft,
  IconChevronRight,
  IconZoomIn,
  IconZoomOut,
} from '@tabler/icons-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import { every } from '../backend/nocReports.ts'
import { BandChart } from '../components/BandChart.tsx'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useNow } from '../components/useNow.ts'
import { bandOf, isCounter, type Measure, namesOf, type Point, stepFor } from '../domain/history.ts'
import { absolute } from '../domain/time.ts'
import page from '../pages/page.module.css'
import classes from './HistoryCharts.module.css'
import { useFace } from './session.tsx'

const HOUR = 3_600
const DAY = 86_400
/** Shortest stretch that is drawn: two roll-ups. */
const LEAST = 600
/** What the window moves by when time goes on. */
const MOVES_S = 60

interface Stretch {
  from: number
  to: number
}

/** What an appliance measured, from its roll-ups: three hours to a year, any part of it closer. */
export function HistoryCharts({ uid }: { uid: string }) {
  const { t, i18n } = useLingui()
  const { noc } = useFace()
  const now = useNow(MOVES_S)
  const [range, setRange] = useState(DAY)
  /** Parts that were looked at closer, the closest last. */
  const [zooms, setZooms] = useState<readonly Stretch[]>([])
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const [measures, setMeasures] = useState<Record<string, Measure>>({})
  const stretch = zooms.at(-1) ?? { from: now - range, to: now }
  const { from, to } = stretch
  const { step, resolution } = stepFor(from, to, now)
  const { points, problem } = usePoints(noc, uid, from, to, step, resolution)

  const names = useMemo(() => namesOf(points ?? []), [points])
  const all = [...names.host, ...names.counters]
  const label = (name: string) =>
    ({
      load: t`Load`,
      memory_percent: t`Memory`,
      disk_percent: t`Disk`,
      temperature_c: t`Temperature`,
    })[name] ?? name
  const isPercent = (name: string) => name === 'memory_percent' || name === 'disk_percent'
  const format = (name: string) => (value: number) =>
    isPercent(name)
      ? i18n.number(value / 100, { style: 'percent', maximumFractionDigits: 1 })
      : name === 'temperature_c'
        ? `${i18n.number(value, { maximumFractionDigits: 1 })} °C`
        : i18n.number(value, { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 0 })
  const clock = useClock()
  const measureOf = (name: string): Measure =>
    names.host.includes(name)
      ? 'value'
      : (measures[name] ?? (isCounter(points ?? [], name) ? 'per_hour' : 'value'))

  const zoom = useCallback(
    (next: Stretch) =>
      setZooms((before) => [...before, { from: next.from, to: Math.max(next.to, next.from + LEAST) }]),
    [],
  )
  /** Another part beside or around this one takes its place. */
  const move = (next: Stretch) => {
    const end = Math.min(next.to, now)
    const long = next.to - next.from
    setZooms((before) => [...before.slice(0, -1), { from: end - long, to: end }])
  }
  const long = to - from
  return (
    <section aria-label={t`What it measured`} data-testid="history-charts">
      <div className={classes.head}>
        <h2>
          <Trans>What it measured</Trans>
        </h2>
        <div className={page.grow} />
        <SegmentedControl
          size="xs"
          aria-label={t`For how long`}
          data-testid="range"
          value={zooms.length > 0 ? '' : String(range)}
          onChange={(value) => {
            setRange(Number(value))
            setZooms([])
          }}
          data={[
            { value: String(3 * HOUR), label: t`3 h` },
            { value: String(DAY), label: t`24 h` },
            { value: String(7 * DAY), label: t`7 d` },
            { value: String(30 * DAY), label: t`30 d` },
            { value: String(365 * DAY), label: t`1 y` },
          ]}
        />
      </div>
      <div className={classes.tools}>
        <span className="num" data-testid="stretch">
          {absolute(from, i18n.locale)} – {absolute(to, i18n.locale)}
        </span>
        <div className={page.grow} />
        <Button
          variant="default"
          aria-label={t`Earlier`}
          data-testid="earlier"
          onClick={() => move({ from: from - Math.floor(long / 2), to: to - Math.floor(long / 2) })}
        >
          <IconChevronLeft size={15} aria-hidden />
        </Button>
        <Button
          variant="default"
          aria-label={t`Later`}
          data-testid="later"
          disabled={to >= now}
          onClick={() => move({ from: from + Math.floor(long / 2), to: to + Math.floor(long / 2) })}
        >
          <IconChevronRight size={15} aria-hidden />
        </Button>
        <Button
          variant="default"
          aria-label={t`Closer`}
          data-testid="closer"
          disabled={long <= LEAST}
          onClick={() => zoom({ from: from + Math.floor(long / 4), to: to - Math.floor(long / 4) })}
        >
          <IconZoomIn size={15} aria-hidden />
        </Button>
        <Button
          variant="default"
          aria-label={t`Wider`}
          data-testid="wider"
          disabled={long >= 2 * 365 * DAY}
          onClick={() => move({ from: from - Math.floor(long / 2), to: to + Math.floor(long / 2) })}
        >
          <IconZoomOut size={15} aria-hidden />
        </Button>
        <Button
          variant="default"
          data-testid="zoom-back"
          disabled={zooms.length === 0}
          leftSection={<IconArrowBackUp size={15} aria-hidden />}
          onClick={() => setZooms((before) => before.slice(0, -1))}
        >
          <Trans>Back</Trans>
        </Button>
      </div>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {all.length > 1 ? (
        <fieldset className={classes.chips}>
          <legend className={classes.unseen}>
            <Trans>What is drawn</Trans>
          </legend>
          {all.map((name) => (
            <Chip
              key={name}
              size="xs"
              checked={!hidden.has(name)}
              onChange={() =>
                setHidden((before) => {
                  const after = new Set(before)
                  if (!after.delete(name)) after.add(name)
                  return after
                })
              }
            >
              {label(name)}
            </Chip>
          ))}
        </fieldset>
      ) : null}
      {points === null ? (
        problem ? null : (
          <Loader size="sm" aria-label={t`Loading`} />
        )
      ) : all.length === 0 ? (
        <Empty icon={<IconChartLine size={28} />} title={<Trans>Nothing was measured in this time</Trans>}>
          <Trans>It did not report then, or what it reported is not kept any more.</Trans>
        </Empty>
      ) : (
        <div className={classes.charts}>
          {all
            .filter((name) => !hidden.has(name))
            .map((name) => {
              const measure = measureOf(name)
              return (
                <OneChart
                  key={name}
                  points={points}
                  name={name}
                  label={label(name)}
                  step={step}
                  measure={measure}
                  format={format(name)}
                  clock={clock}
                  stretch={stretch}
                  onZoom={zoom}
                  {...(isPercent(name) ? { max: 100 } : {})}
                  {...(names.counters.includes(name)
                    ? {
                        onMeasure: (next: Measure) => setMeasures((before) => ({ ...before, [name]: next })),
                      }
                    : {})}
                />
              )
            })}
        </div>
      )}
    </section>
  )
}

interface OneProps {
  points: readonly Point[]
  name: string
  label: string
  step: number
  measure: Measure
  onMeasure?: (measure: Measure) => void
  max?: number
  format: (value: number) => string
  clock: (at: number, span: number) => string
  stretch: Stretch
  onZoom: (stretch: Stretch) => void
}

function OneChart({ points, name, step, measure, onMeasure, label, stretch, onZoom, ...rest }: OneProps) {
  const { t } = useLingui()
  const band = useMemo(() => bandOf(points, name, step, measure), [points, name, step, measure])
  return (
    <BandChart
      {...rest}
      label={label}
      band={band}
      from={stretch.from}
      to={stretch.to}
      onZoom={(from, to) => onZoom({ from, to })}
      tools={
        onMeasure ? (
          <NativeSelect
            size="xs"
            variant="unstyled"
            className={classes.measure}
            aria-label={t`${label} as`}
            data-testid={`measure-${name}`}
            value={measure}
            onChange={(event) => onMeasure(event.currentTarget.value as Measure)}
            data={[
              { value: 'value', label: t`as reported` },
              { value: 'per_hour', label: t`growth per hour` },
              { value: 'per_day', label: t`growth per day` },
            ]}
          />
        ) : null
      }
    />
  )
}

/** Roll-ups of a stretch. What was read stays until the next is there, so that nothing flickers. */
function usePoints(
  noc: ReturnType<typeof useFace>['noc'],
  uid: string,
  from: number,
  to: number,
  step: number,
  resolution: string,
): { points: Point[] | null; problem: NocProblem | null } {
  const [points, setPoints] = useState<Point[] | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  useEffect(() => {
    let wanted = true
    // One more at each side, so that lines go on to the edge.
    const query = { from: Math.max(0, from - step), to, resolution }
    every<Point>(noc, `/v1/appliances/${encodeURIComponent(uid)}/history`, query).then(
      (found) => {
        if (!wanted) return
        setPoints(found)
        setProblem(null)
      },
      (reason: unknown) => wanted && setProblem(toNocProblem(reason)),
    )
    return () => {
      wanted = false
    }
  }, [noc, uid, from, to, step, resolution])
  return { points, problem }
}

/** Times on an axis, as fine as it is long. */
function useClock(): (at: number, span: number) => string {
  const { i18n } = useLingui()
  return useMemo(() => {
    const of = (options: Intl.DateTimeFormatOptions) =>
      new Intl.DateTimeFormat(i18n.locale, { ...options, hour12: false })
    const time = of({ hour: '2-digit', minute: '2-digit' })
    const both = of({ month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
    const day = of({ month: 'short', day: 'numeric' })
    const year = of({ month: 'short', day: 'numeric', year: '2-digit' })
    return (at, span) =>
      (span === 0 ? both : span <= 1.5 * DAY ? time : span <= 100 * DAY ? day : year).format(at * 1000)
  }, [i18n.locale])
}
