import { t } from '@lingui/core/macro'
import type { ComponentState, RolloutState } from '../backend/nocComponents.ts'
import type { Badge } from '../components/badge.ts'

export function componentBadge(state: ComponentState): Badge {
  switch (state) {
    case 'installed':
      return { tone: 'good', icon: 'check', text: t`Installed` }
    case 'waiting':
      return { tone: 'idle', icon: 'ring', text: t`Waiting` }
    case 'downloading':
      return { tone: 'info', icon: 'half', text: t`Downloading` }
    case 'installing':
      return { tone: 'info', icon: 'half', text: t`Installing` }
    case 'failed':
      return { tone: 'bad', icon: 'cross', text: t`Failed` }
    case 'unreported':
      return { tone: 'warn', icon: 'question', text: t`Not reported` }
    case 'unavailable':
      return { tone: 'warn', icon: 'dash', text: t`Not available` }
    case 'extra':
      return { tone: 'idle', icon: 'dash', text: t`Not required` }
  }
}

export function rolloutBadge(state: RolloutState): Badge {
  switch (state) {
    case 'running':
      return { tone: 'info', icon: 'half', text: t`Rolling out` }
    case 'halted':
      return { tone: 'bad', icon: 'warning', text: t`Halted` }
    case 'done':
      return { tone: 'good', icon: 'check', text: t`Done` }
    case 'back':
      return { tone: 'warn', icon: 'dash', text: t`Taken back` }
    case 'replaced':
      return { tone: 'idle', icon: 'dash', text: t`Replaced` }
  }
}
