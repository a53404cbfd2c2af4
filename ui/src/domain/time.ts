// Times as a person reads them. All of the engine's times are Unix seconds.

/** "4 s ago", "in 2 min": the largest unit that fits, rounded down. */
export function relative(at: number, now: number, locale: string): string {
  const seconds = Math.round(at - now)
  const size = Math.abs(seconds)
  const [unit, length] = UNITS.find(([, length]) => size >= length) ?? (['second', 1] as const)
  return formatter(locale).format(Math.trunc(seconds / length) || -0, unit)
}

export function absolute(at: number, locale: string): string {
  return absoluteFormat(locale).format(at * 1000)
}

/** "1 d 4 h", "12 min", for spans such as an uptime. */
export function span(seconds: number, locale: string): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'day'],
    [Math.floor(seconds / 3600) % 24, 'hour'],
    [Math.floor(seconds / 60) % 60, 'minute'],
    [Math.floor(seconds) % 60, 'second'],
  ]
  const first = parts.findIndex(([value]) => value > 0)
  const shown = first < 0 ? parts.slice(3) : parts.slice(first, first + 2)
  return shown
    .filter(([value], i) => value > 0 || i === 0)
    .map(([value, unit]) =>
      new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'narrow' }).format(value),
    )
    .join(' ')
}

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
]

const formatters = new Map<string, Intl.RelativeTimeFormat>()
function formatter(locale: string): Intl.RelativeTimeFormat {
  let made = formatters.get(locale)
  if (!made) {
    made = new Intl.RelativeTimeFormat(locale, { style: 'narrow', numeric: 'always' })
    formatters.set(locale, made)
  }
  return made
}

const absoluteFormats = new Map<string, Intl.DateTimeFormat>()
function absoluteFormat(locale: string): Intl.DateTimeFormat {
  let made = absoluteFormats.get(locale)
  if (!made) {
    made = new Intl.DateTimeFormat(locale, {
      year: 'numeric',
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hour12: false,
    })
    absoluteFormats.set(locale, made)
  }
  return made
}
