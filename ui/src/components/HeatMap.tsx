import { Trans, useLingui } from '@lingui/react/macro'
import { NativeSelect, useComputedColorScheme } from '@mantine/core'
import {
  type KeyboardEvent,
  type MouseEvent,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react'
import { cellAt, type Layout, layOut, placeOf, step } from '../domain/heat.ts'
import type { Badge, Tone } from './badge.ts'
import classes from './HeatMap.module.css'
import { draw, type Palette } from './heatDrawing.ts'

export interface HeatCell {
  id: string
  name: string
  /** Its state as a stable word, and as it is shown. */
  state: string
  tone: Tone
  /** What tells states of one tone apart. */
  icon: Badge['icon']
  stateText: string
  /** Part of the scale, 0 to 1, of each value that it can be coloured by; absent when it did not tell. */
  values: Record<string, number | undefined>
  /** And as a person reads them. */
  shown: Record<string, string>
}

export interface HeatGroup {
  id: string
  title: string
  cells: HeatCell[]
}

export interface HeatValue {
  name: string
  title: string
  /** Ends of the scale. */
  low: string
  high: string
}

interface Props {
  label: string
  groups: readonly HeatGroup[]
  values: readonly HeatValue[]
  onOpen: (id: string) => void
  /** Room for all cells, in pixels; they become smaller until they fit. */
  height?: number
}

/** Room that what is said of a cell may need. */
const TIP = 160

/** One cell an appliance: thousands at a glance. Arrow keys walk through them, Enter opens, as a click does. */
export function HeatMap({ label, groups, values, onOpen, height = 620 }: Props) {
  const { t, i18n } = useLingui()
  const scheme = useComputedColorScheme('light')
  const box = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const [width, setWidth] = useState(0)
  const [by, setBy] = useState('state')
  const [only, setOnly] = useState<string | null>(null)
  const [at, setAt] = useState<number | null>(null)
  const [isTip, setTip] = useState(false)

  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const look = () => setWidth(element.clientWidth || 900)
    look()
    if (typeof ResizeObserver === 'undefined') return
    const observer = new ResizeObserver(look)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  const cells = useMemo(() => groups.flatMap((group) => group.cells), [groups])
  const layout = useMemo(
    (): Layout =>
      layOut(
        groups.map((group) => group.cells.length),
        Math.max(width, 60),
        height,
      ),
    [groups, width, height],
  )
  const legend = useMemo(() => legendOf(cells), [cells])
  const current = at === null ? undefined : cells[at]
  const group = at === null ? undefined : groupAt(groups, at)

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read from the page when the scheme changes
  useEffect(() => {
    const element = canvas.current
    if (!element || width === 0) return
    const frame = requestAnimationFrame(() => {
      const style = getComputedStyle(element)
      const colour = (name: string) => style.getPropertyValue(name).trim()
      const tone = (name: Tone) => ({ strong: colour(`--tone-${name}`), soft: colour(`--tone-${name}-bg`) })
      const palette: Palette = {
        tones: {
          good: tone('good'),
          info: tone('info'),
          warn: tone('warn'),
          bad: tone('bad'),
          idle: tone('idle'),
        },
        page: colour('--mantine-color-body'),
        text: colour('--mantine-color-text'),
        line: colour('--muster-line'),
        scale: colour('--muster-link'),
      }
      draw(element, { width, layout, groups, by, only, at, palette })
    })
    return () => cancelAnimationFrame(frame)
  }, [groups, layout, width, by, only, at, scheme])

  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && current) return onOpen(current.id)
    if (event.key === 'Escape') return setAt(null)
    const next = at === null ? firstStep(layout, event.key) : step(layout, at, event.key)
    if (next === null || cells.length === 0) return
    event.preventDefault()
    setAt(next)
    setTip(true)
    const place = placeOf(layout, next)
    if (place) scrollTo(box.current, place.y)
  }
  /** Goes on to the next appliance in a state. */
  const seek = (state: string) => {
    const isNew = only !== state
    setOnly(isNew ? state : null)
  }
  const value = values.find(({ name }) => name === by)
  const said = current
    ? [current.name, group?.title, current.stateText, ...values.map(({ name }) => current.shown[name] ?? '')]
        .filter(Boolean)
        .join(', ')
    : legend.map(({ text, count }) => `${text}: ${i18n.number(count)}`).join(', ')
  const place = at === null ? null : placeOf(layout, at)
  return (
    <div className={classes.map} data-testid="heat-map">
      <div className={classes.legend}>
        {by === 'state' ? (
          <fieldset className={classes.states} aria-label={t`Legend`}>
            {legend.map(({ state, tone, icon, text, count }) => (
              <button
                key={state}
                type="button"
                className={classes.state}
                aria-pressed={only === state}
                data-testid={`heat-${state}`}
                onClick={() => seek(state)}
              >
                <i className={classes.key} data-tone={tone} data-icon={icon} aria-hidden />
                {text} <b className="num">{i18n.number(count)}</b>
              </button>
            ))}
          </fieldset>
        ) : (
          <div className={classes.states}>
            <span className="num">{value?.low}</span>
            <i className={classes.scale} aria-hidden />
            <span className="num">{value?.high}</span>
            <span className={classes.state}>
              <i className={classes.key} data-tone="none" aria-hidden />
              <Trans>not told</Trans>
            </span>
          </div>
        )}
        <NativeSelect
          aria-label={t`Colour by`}
          data-testid="heat-by"
          value={by}
          onChange={(event) => {
            setBy(event.currentTarget.value)
            setOnly(null)
          }}
          data={[
            { value: 'state', label: t`By state` },
            ...values.map(({ name, title }) => ({ value: name, label: t`By ${title}` })),
          ]}
        />
      </div>
      <div
        ref={box}
        className={classes.box}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, cells.length - 1)}
        aria-valuenow={at ?? 0}
        aria-valuetext={said}
        data-testid="heat-cells"
        onKeyDown={onKey}
        onBlur={() => setTip(false)}
        onPointerMove={(event) => {
          const hit = hitOf(layout, event)
          if (hit !== at) setAt(hit)
          setTip(hit !== null)
        }}
        onPointerLeave={() => {
          setTip(false)
          setAt(null)
        }}
        onClick={(event) => {
          const hit = hitOf(layout, event)
          const cell = hit === null ? undefined : cells[hit]
          if (cell) onOpen(cell.id)
        }}
        style={{ cursor: current && isTip ? 'pointer' : 'default' }}
      >
        <canvas ref={canvas} style={{ width, height: layout.height }} aria-hidden />
        {current && isTip && place ? (
          <div
            className={classes.tip}
            aria-hidden
            data-testid="heat-tip"
            style={{
              left: Math.max(0, Math.min(place.x, width - 240)),
              // Above what is near the lower end.
              ...(place.y + TIP > layout.height && place.y > TIP
                ? { bottom: layout.height - place.y + 4 }
                : { top: place.y + layout.pitch + 4 }),
            }}
          >
            <strong>{current.name}</strong>
            <span>{group?.title}</span>
            <span>{current.stateText}</span>
            {values.map(({ name, title }) =>
              current.shown[name] ? (
                <span key={name}>
                  {title}: {current.shown[name]}
                </span>
              ) : null,
            )}
          </div>
        ) : null}
      </div>
    </div>
  )
}

/** The cell under a pointer. */
function hitOf(layout: Layout, event: MouseEvent<HTMLElement>): number | null {
  const box = event.currentTarget
  const edge = box.getBoundingClientRect()
  return cellAt(layout, event.clientX - edge.left, event.clientY - edge.top + box.scrollTop)
}

/** Where a key leads to when no cell is looked at yet. */
function firstStep(layout: Layout, key: string): number | null {
  const next = step(layout, 0, key)
  return next === null || key === 'End' ? next : 0
}

/** States with how many are in each, the worst first. */
function legendOf(cells: readonly HeatCell[]) {
  const found = new Map<
    string,
    { state: string; tone: Tone; icon: Badge['icon']; text: string; count: number }
  >()
  for (const { state, tone, icon, stateText } of cells) {
    const known = found.get(state)
    if (known) known.count += 1
    else found.set(state, { state, tone, icon, text: stateText, count: 1 })
  }
  const order: readonly Tone[] = ['bad', 'warn', 'info', 'good', 'idle']
  return [...found.values()].sort(
    (a, b) => order.indexOf(a.tone) - order.indexOf(b.tone) || a.text.localeCompare(b.text),
  )
}

function groupAt(groups: readonly HeatGroup[], index: number): HeatGroup | undefined {
  let first = 0
  for (const group of groups) {
    if (index < first + group.cells.length) return group
    first += group.cells.length
  }
  return undefined
}

function scrollTo(box: HTMLElement | null, y: number): void {
  if (!box) return
  if (y < box.scrollTop + 24) box.scrollTop = Math.max(0, y - 40)
  else if (y > box.scrollTop + box.clientHeight - 40) box.scrollTop = y - box.clientHeight + 80
}
