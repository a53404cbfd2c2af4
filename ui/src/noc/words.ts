// What things of the NOC are called, and how their states look.

import { t } from '@lingui/core/macro'
import type { Alert, Provisioning, Role, RoleAt, Standing } from '../backend/noc.ts'
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

export function alertBadge({ kind, closed }: Alert): Badge {
  const text = kind === 'silent' ? t`Silent` : kind === 'never_reported' ? t`Never reported` : t`Site silent`
  return closed === null ? { tone: 'bad', icon: 'warning', text } : { tone: 'idle', icon: 'check', text }
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
