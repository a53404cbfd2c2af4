// Hours in which nobody is to be disturbed, as a person types them.

import type { DoNotDisturb } from '../bindings.ts'

/** "22:05" of minutes since midnight, as a time field has it. */
export function clock(minutes: number): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** Minutes since midnight of "22:05"; null for what is no time. */
export function minutesOf(text: string): number | null {
  const found = /^(\d{1,2}):(\d{2})/.exec(text.trim())
  if (!found) return null
  const [hours, minutes] = [Number(found[1]), Number(found[2])]
  return hours < 24 && minutes < 60 ? hours * 60 + minutes : null
}

/** For how long nobody is to be disturbed. */
export type Length = 'off' | 'hour' | 'tomorrow' | 'on'

/** What that means at a moment, in the time of this computer: a day begins at eight. */
export function switchedAt(length: Length, now: Date): DoNotDisturb {
  switch (length) {
    case 'off':
      return { kind: 'off' }
    case 'on':
      return { kind: 'on' }
    case 'hour':
      return { kind: 'until', at: Math.floor(now.getTime() / 1000) + 3600 }
    case 'tomorrow': {
      const morning = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, 8)
      return { kind: 'until', at: Math.floor(morning.getTime() / 1000) }
    }
  }
}
