// A vendor's colour and logo, as far as they can be read on what they stand on.

export type Scheme = 'light' | 'dark'

/** What texts in the vendor's colour stand on (theme.ts). */
const GROUND: Record<Scheme, Rgb> = { light: [255, 255, 255], dark: [27, 32, 40] }
/** WCAG 2.2, 1.4.3: least contrast of texts. */
const LEAST = 4.5

type Rgb = readonly [number, number, number]

/** The colour, made darker or lighter until texts in it can be read; null if it is none. */
export function readableAccent(accent: string | null, scheme: Scheme): string | null {
  const colour = parse(accent)
  if (!colour) return null
  const ground = GROUND[scheme]
  const towards: Rgb = scheme === 'light' ? [0, 0, 0] : [255, 255, 255]
  for (let part = 0; part <= 100; part += 4) {
    const mixed = mix(colour, towards, part / 100)
    if (contrast(mixed, ground) >= LEAST) return hex(mixed)
  }
  return hex(towards)
}

/** A logo that is a picture in PNG of a size that a logo has; anything else is left out. */
export function logoOf(logo: string | null): string | null {
  return logo !== null && logo.length <= 100_000 && /^data:image\/png;base64,[A-Za-z0-9+/]+={0,2}$/.test(logo)
    ? logo
    : null
}

/** WCAG 2.2, contrast ratio. */
export function contrastOf(one: string, other: string): number {
  const [a, b] = [parse(one), parse(other)]
  return a && b ? contrast(a, b) : 1
}

function parse(text: string | null): Rgb | null {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text ?? '')
  if (!found) return null
  const [r = 0, g = 0, b = 0] = found.slice(1).map((part) => Number.parseInt(part, 16))
  return [r, g, b]
}

function hex(colour: Rgb): string {
  return `#${colour.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`
}

function mix(one: Rgb, other: Rgb, part: number): Rgb {
  const of = (i: 0 | 1 | 2) => one[i] + (other[i] - one[i]) * part
  return [of(0), of(1), of(2)]
}

function contrast(one: Rgb, other: Rgb): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: Rgb): number {
  const linear = colour.map((part) => {
    const value = part / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0)
}
