// The state of a thing as icon and word; the colour only repeats what they say. Plain DOM, so that a grid of
// 10,000 rows can draw it without React.

import { t } from '@lingui/core/macro'
import type { JobStep, RowAlertKind, RowHealth, RowMessageState, RowState } from '../bindings.ts'
import type { StateGroup } from '../store/fleet.ts'

export type Tone = 'good' | 'info' | 'warn' | 'bad' | 'idle'
export interface Badge {
  tone: Tone
  icon: keyof typeof ICONS
  text: string
}

export function stateBadge(state: RowState): Badge {
  switch (state) {
    case 'unconfigured':
      return { tone: 'info', icon: 'ring', text: t`Unconfigured` }
    case 'unclaimed':
      return { tone: 'warn', icon: 'question', text: t`Unclaimed` }
    case 'no_voucher':
      return { tone: 'warn', icon: 'question', text: t`No voucher` }
    case 'configuring':
      return { tone: 'info', icon: 'half', text: t`Configuring` }
    case 'provisional':
      return { tone: 'info', icon: 'half', text: t`Provisional` }
    case 'configured':
      return { tone: 'good', icon: 'check', text: t`Configured` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
    case 'not_heard':
      return { tone: 'idle', icon: 'dash', text: t`Not heard` }
  }
}

export function healthBadge(health: RowHealth): Badge {
  switch (health) {
    case 'not_expected':
      return { tone: 'idle', icon: 'dash', text: t`Not expected` }
    case 'never_reported':
      return { tone: 'warn', icon: 'ring', text: t`Never reported` }
    case 'well':
      return { tone: 'good', icon: 'check', text: t`Well` }
    case 'late':
      return { tone: 'warn', icon: 'warning', text: t`Late` }
    case 'silent':
      return { tone: 'bad', icon: 'cross', text: t`Silent` }
    case 'recovering':
      return { tone: 'info', icon: 'half', text: t`Recovering` }
    case 'failing':
      return { tone: 'bad', icon: 'warning', text: t`Failing` }
    case 'unreachable':
      return { tone: 'bad', icon: 'dash', text: t`Unreachable` }
    case 'maintenance':
      return { tone: 'idle', icon: 'half', text: t`In maintenance` }
  }
}

export function stepBadge(step: JobStep): Badge {
  switch (step) {
    case 'waiting':
      return { tone: 'idle', icon: 'ring', text: t`Waiting` }
    case 'sending':
      return { tone: 'info', icon: 'half', text: t`Sending` }
    case 'installing':
      return { tone: 'info', icon: 'half', text: t`Installing` }
    case 'kick_starting':
      return { tone: 'info', icon: 'half', text: t`Kick-starting` }
    case 'confirming':
      return { tone: 'info', icon: 'half', text: t`Awaiting first beat` }
    case 'configured':
      return { tone: 'good', icon: 'check', text: t`Configured` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
    case 'cancelled':
      return { tone: 'idle', icon: 'dash', text: t`Cancelled` }
  }
}

/** What an alert is about. */
export function alertName({ kind, rule }: { kind: RowAlertKind; rule: string }): string {
  switch (kind) {
    case 'silent':
      return t`Silent`
    case 'never_reported':
      return t`Never reported`
    case 'site':
      return t`Site silent`
    case 'unstable':
      return t`Unstable`
    case 'failing':
      return rule ? t`Failing: ${rule}` : t`Failing`
  }
}

export function messageBadge(state: RowMessageState): Badge {
  switch (state) {
    case 'taken':
      return { tone: 'info', icon: 'half', text: t`Under way` }
    case 'done':
      return { tone: 'good', icon: 'check', text: t`Done` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
  }
}

/** The name of a chip that counts appliances. */
export function groupName(group: StateGroup): string {
  switch (group) {
    case 'unconfigured':
      return t`Unconfigured`
    case 'configured':
      return t`Configured`
    case 'failed':
      return t`Failed`
    case 'silent':
      return t`Silent`
  }
}

// 16 by 16, drawn with a stroke.
export const ICONS = {
  check: 'M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0M5.6 8.2l1.7 1.7l3.2 -3.6',
  ring: 'M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0',
  half: 'M8 2.5a5.5 5.5 0 1 0 5.5 5.5M8 5v3.2l2.2 1.3',
  cross: 'M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0M6 6l4 4M10 6l-4 4',
  dash: 'M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0M5.5 8h5',
  question: 'M5.6 6a2.4 2.4 0 1 1 3.4 2.2c-.7 .35 -1 .8 -1 1.6M8 12.4v.1',
  warning: 'M8 2.4l6 10.6h-12zM8 6.6v2.8M8 11.4v.1',
} as const

/** A badge as an element, for grids. */
export function badgeElement({ tone, icon, text }: Badge): HTMLElement {
  const element = document.createElement('span')
  element.className = `badge badge-${tone}`
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 16 16')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', ICONS[icon])
  svg.append(path)
  element.append(svg, text)
  return element
}

const SVG = 'http://www.w3.org/2000/svg'
