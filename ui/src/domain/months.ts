// Months of UTC, as reports are made of them.

/** The month of a time: "2026-11". */
export function monthOf(at: number): string {
  return new Date(at * 1000).toISOString().slice(0, 7)
}

/** This month and those before it, newest first. */
export function monthsUntil(at: number, count: number): string[] {
  const date = new Date(at * 1000)
  return Array.from({ length: count }, (_, back) =>
    new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - back, 1)).toISOString().slice(0, 7),
  )
}

/** "November 2026". */
export function monthName(month: string, locale: string): string {
  const date = new Date(`${month}-01T00:00:00Z`)
  return new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(date)
}

/** Hours, minutes and seconds, exactly: "26:04:10". */
export function clockSpan(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}
