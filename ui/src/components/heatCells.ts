// Appliances as cells of a heat map, whoever tells of them.

import { t } from '@lingui/core/macro'
import type { RowHealth } from '../bindings.ts'
import { type Badge, healthBadge } from './badge.ts'
import type { HeatCell, HeatValue } from './HeatMap.tsx'

/** What is known of an appliance. */
export interface Known {
  id: string
  name: string
  health: RowHealth
  /** How it stands, where that is more than its health. */
  state?: { word: string; badge: Badge } | undefined
  values: {
    load: number
    memory_percent: number
    disk_percent: number
    host?: { temperature_c: number | null } | undefined
  } | null
}

/** From here on a load is as dark as can be. */
const HIGH_LOAD = 4
const COLD = 20
const HOT = 90

export function heatCell({ id, name, health, state, values }: Known, number: Intl.NumberFormat): HeatCell {
  const { tone, icon, text } = state?.badge ?? healthBadge(health)
  const heat = values?.host?.temperature_c
  return {
    id,
    name,
    state: state?.word ?? health,
    tone,
    icon,
    stateText: text,
    values: values
      ? {
          load: values.load / HIGH_LOAD,
          memory: values.memory_percent / 100,
          disk: values.disk_percent / 100,
          temperature: heat == null ? undefined : (heat - COLD) / (HOT - COLD),
        }
      : {},
    shown: values
      ? {
          load: number.format(values.load),
          memory: `${number.format(values.memory_percent)} %`,
          disk: `${number.format(values.disk_percent)} %`,
          ...(heat == null ? {} : { temperature: `${number.format(heat)} °C` }),
        }
      : {},
  }
}

export function heatValues(): HeatValue[] {
  return [
    { name: 'load', title: t`load`, low: '0', high: `${HIGH_LOAD}` },
    { name: 'memory', title: t`memory`, low: '0 %', high: '100 %' },
    { name: 'disk', title: t`disk`, low: '0 %', high: '100 %' },
    { name: 'temperature', title: t`temperature`, low: `${COLD} °C`, high: `${HOT} °C` },
  ]
}
