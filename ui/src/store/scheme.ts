import type { MantineColorScheme, MantineColorSchemeManager } from '@mantine/core'
import type { Backend } from '../backend/backend.ts'

const KEY = 'colour_scheme'

/** Light, dark or as the system: remembered by the engine, like every other preference. */
export function rememberedScheme(backend: Backend): MantineColorSchemeManager {
  let current: MantineColorScheme = 'auto'
  let notify: ((scheme: MantineColorScheme) => void) | null = null
  // What the administrator chooses while the answer is on its way wins over the answer.
  let chosen = false
  backend.getPreference(KEY).then(
    (value) => {
      if (chosen || (value !== 'light' && value !== 'dark')) return
      current = value
      notify?.(value)
    },
    () => undefined,
  )
  return {
    get: () => current,
    set: (scheme) => {
      chosen = true
      current = scheme
      backend.setPreference(KEY, scheme).catch(() => undefined)
    },
    subscribe: (onUpdate) => {
      notify = onUpdate
      if (current !== 'auto') onUpdate(current)
    },
    unsubscribe: () => {
      notify = null
    },
    clear: () => {
      current = 'auto'
    },
  }
}
