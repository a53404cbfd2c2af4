// What things of the NOC are called, and how their states look.

import { t } from '@lingui/core/macro'
import type {
  Act,
  Alert,
  AlertEvent,
  Channel,
  Draft,
  DraftRowState,
  DraftState,
  Instruction,
  PreviewRow,
  Provisioning,
  Role,
  RoleAt,
  Standing,
  Target,
  Version,
} from '../backend/noc.ts'
import { alertName, type Badge, stateBadge } from '../components/badge.ts'

export function provisioningBadge(provisioning: Provisioning): Badge {
  switch (provisioning) {
    case 'known':
      return stateBadge('unconfigured')
    case 'granted':
      return stateBadge('configuring')
    case 'configured':
    case 'failed':
      return stateBadge(provisioning)
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

export const ALERT_KINDS: readonly Alert['kind'][] = [
  'silent',
  'never_reported',
  'site',
  'unstable',
  'failing',
]

/** What an alert of a kind is about. */
export function alertKind(kind: Alert['kind']): string {
  return alertName({ kind, rule: '' })
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

export function alertBadge(alert: Alert): Badge {
  const text = alertName(alert)
  return alert.closed === null
    ? { tone: 'bad', icon: 'warning', text }
    : { tone: 'idle', icon: 'check', text }
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

export function actName(act: Act): string {
  switch (act) {
    case 'reboot':
      return t`Restart`
    case 'send_log':
      return t`Send its log`
    case 'decommission':
      return t`Decommission`
  }
}

export function instructionBadge({ done, given, expires, problem }: Instruction): Badge {
  if (done !== null && problem !== '') return { tone: 'bad', icon: 'cross', text: t`Failed: ${problem}` }
  if (done !== null) return { tone: 'good', icon: 'check', text: t`Accepted` }
  if (expires * 1000 < Date.now()) return { tone: 'warn', icon: 'warning', text: t`Not fetched in time` }
  if (given !== null) return { tone: 'info', icon: 'half', text: t`Told` }
  return { tone: 'idle', icon: 'ring', text: t`Waits for a beat` }
}

/** What a policy would mean for an appliance. */
export function previewBadge({ current, settings, changes }: PreviewRow): Badge {
  if (settings === null) return { tone: 'bad', icon: 'cross', text: t`Nothing for it` }
  if (current === null) return { tone: 'info', icon: 'ring', text: t`New` }
  if (changes.length === 0) return { tone: 'idle', icon: 'check', text: t`Keeps everything` }
  return { tone: 'warn', icon: 'half', text: t`Would change` }
}

/** The place that a value of a policy comes from. */
export function sourceName(source: string): string {
  const [place, model] = source.split(/ profile (.*)/)
  if (place === 'default') return t`nobody says anything: the default`
  if (place === 'organisation')
    return model === undefined ? t`the organisation` : t`the organisation, for ${model}`
  if (place === 'site') return model === undefined ? t`the site` : t`the site, for ${model}`
  return source
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
