// What things of the NOC are called, and how their states look.

import { t } from '@lingui/core/macro'
import type {
  Alert,
  AlertEvent,
  Channel,
  Draft,
  DraftRowState,
  DraftState,
  Provisioning,
  Role,
  RoleAt,
  Standing,
  Target,
  Version,
} from '../backend/noc.ts'
import type { Badge } from '../components/badge.ts'

export function provisioningBadge(provisioning: Provisioning): Badge {
  switch (provisioning) {
    case 'known':
      return { tone: 'info', icon: 'ring', text: t`Unconfigured` }
    case 'granted':
      return { tone: 'info', icon: 'half', text: t`Configuring` }
    case 'configured':
      return { tone: 'good', icon: 'check', text: t`Configured` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
    case 'decommissioned':
      return { tone: 'idle', icon: 'dash', text: t`Decommissioned` }
    case 'replaced':
      return { tone: 'idle', icon: 'dash', text: t`Replaced` }
  }
}

export function standingBadge(state: Standing): Badge {
  switch (state) {
    case 'waiting':
      return { tone: 'idle', icon: 'ring', text: t`Waiting for the console` }
    case 'fetched':
      return { tone: 'info', icon: 'half', text: t`On its way` }
    case 'taken':
      return { tone: 'info', icon: 'half', text: t`Under way` }
    case 'done':
      return { tone: 'good', icon: 'check', text: t`Done` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
    case 'expired':
      return { tone: 'warn', icon: 'warning', text: t`Not fetched in time` }
    case 'cancelled':
      return { tone: 'idle', icon: 'dash', text: t`Taken back` }
  }
}

export const ALERT_KINDS: readonly Alert['kind'][] = ['silent', 'never_reported', 'site']

export function alertKind(kind: Alert['kind']): string {
  switch (kind) {
    case 'silent':
      return t`Silent`
    case 'never_reported':
      return t`Never reported`
    case 'site':
      return t`Site silent`
  }
}

export function happening(what: AlertEvent['what']): string {
  switch (what) {
    case 'opened':
      return t`Opened`
    case 'attached':
      return t`More appliances`
    case 'acknowledged':
      return t`Acknowledged`
    case 'silenced':
      return t`Silenced`
    case 'unsilenced':
      return t`No longer silenced`
    case 'escalated':
      return t`Escalated`
    case 'resolved':
      return t`Over`
  }
}

export function channelBadge({ channel, state }: Channel): Badge {
  if (!channel.enabled) return { tone: 'idle', icon: 'dash', text: t`Switched off` }
  if (state.failing_since !== null) return { tone: 'bad', icon: 'cross', text: t`Failing` }
  if (state.given_up > 0) return { tone: 'warn', icon: 'warning', text: t`Gave up` }
  if (state.delivered !== null) return { tone: 'good', icon: 'check', text: t`Works` }
  return { tone: 'info', icon: 'ring', text: t`Never used` }
}

export function targetKind(kind: Target['kind']): string {
  switch (kind) {
    case 'email':
      return t`Email`
    case 'webhook':
      return t`Webhook`
    case 'alertmanager':
      return t`Alertmanager`
  }
}

export function alertBadge({ kind, closed }: Alert): Badge {
  const text = alertKind(kind)
  return closed === null ? { tone: 'bad', icon: 'warning', text } : { tone: 'idle', icon: 'check', text }
}

export function draftBadge(state: DraftState): Badge {
  switch (state) {
    case 'open':
      return { tone: 'info', icon: 'ring', text: t`To be decided` }
    case 'applied':
      return { tone: 'good', icon: 'check', text: t`Applied` }
    case 'discarded':
      return { tone: 'idle', icon: 'dash', text: t`Discarded` }
  }
}

export function draftRowBadge(state: DraftRowState): Badge {
  switch (state) {
    case 'proposed':
      return { tone: 'info', icon: 'ring', text: t`Would change` }
    case 'stale':
      return { tone: 'warn', icon: 'warning', text: t`Changed otherwise` }
    case 'waiting':
      return { tone: 'idle', icon: 'ring', text: t`Waits for a beat` }
    case 'given':
      return { tone: 'info', icon: 'half', text: t`Told` }
    case 'in_force':
      return { tone: 'good', icon: 'check', text: t`In force` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
    case 'overtaken':
      return { tone: 'idle', icon: 'dash', text: t`Overtaken` }
  }
}

const ROW_STATES: readonly DraftRowState[] = [
  'in_force',
  'given',
  'waiting',
  'failed',
  'proposed',
  'stale',
  'overtaken',
]

/** How the appliances of a draft stand: "3 In force, 1 Failed". */
export function rowsInWords(rows: Draft['rows']): string {
  const counted = ROW_STATES.filter((state) => rows[state])
  return counted.map((state) => `${rows[state]} ${draftRowBadge(state).text}`).join(', ')
}

export function versionBadge({ state, is_in_force, reason }: Version): Badge {
  if (is_in_force) return { tone: 'good', icon: 'check', text: t`In force` }
  switch (state) {
    case 'applied':
      return { tone: 'idle', icon: 'check', text: t`Was in force` }
    case 'signed':
      return { tone: 'info', icon: 'half', text: t`On its way` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: reason ? t`Failed: ${reason}` : t`Failed` }
  }
}

export function roleName(role: Role): string {
  switch (role) {
    case 'viewer':
      return t`Viewer`
    case 'operator':
      return t`Operator`
    case 'administrator':
      return t`Administrator`
  }
}

/** A role and where it holds. */
export function roleAt(
  at: RoleAt,
  organisation: (id: number) => string,
  site: (id: number) => string,
): string {
  const role = roleName(at.role)
  if (at.organisation === null) return t`${role} everywhere`
  const place = at.site === null ? organisation(at.organisation) : site(at.site)
  return t`${role} of ${place}`
}
