// What is typed into the form of a channel, and what the NOC is told of it.

import type { Alert, ChannelSpec, Quiet, Target } from '../backend/noc.ts'

export interface Draft {
  name: string
  kind: Target['kind']
  server: string
  port: number
  security: 'starttls' | 'tls' | 'none'
  user: string
  password: string
  from: string
  to: string
  url: string
  ca: string
  sites: number[]
  kinds: Alert['kind'][]
  only_escalations: boolean
  isQuiet: boolean
  quietFrom: string
  quietTo: string
  quietZone: string
  enabled: boolean
}

/** Usual ports of mail servers. */
export const PORTS = { starttls: 587, tls: 465, none: 25 } as const

export const NEW: Draft = {
  name: '',
  kind: 'email',
  server: '',
  port: PORTS.starttls,
  security: 'starttls',
  user: '',
  password: '',
  from: '',
  to: '',
  url: '',
  ca: '',
  sites: [],
  kinds: [],
  only_escalations: false,
  isQuiet: false,
  quietFrom: '22:00',
  quietTo: '06:00',
  quietZone: zoneText(-new Date().getTimezoneOffset()),
  enabled: true,
}

export function draftOf(spec: ChannelSpec): Draft {
  const { name, target, sites, kinds, only_escalations, quiet, enabled } = spec
  const own =
    target.kind === 'email'
      ? { ...target, to: target.to.join('\n') }
      : target.kind === 'webhook'
        ? { kind: target.kind, url: target.url, ca: target.ca }
        : target
  const hours = quiet
    ? {
        isQuiet: true,
        quietFrom: timeText(quiet.from),
        quietTo: timeText(quiet.to),
        quietZone: zoneText(quiet.offset),
      }
    : {}
  return { ...NEW, name, ...own, sites, kinds, only_escalations, ...hours, enabled }
}

export function specOf(draft: Draft): ChannelSpec {
  const { name, sites, kinds, only_escalations, enabled } = draft
  const quiet = draft.isQuiet && draft.kind !== 'alertmanager' ? quietOf(draft) : null
  return { name, target: targetOf(draft), sites, kinds, only_escalations, quiet, enabled }
}

function targetOf(draft: Draft): Target {
  const { kind, server, port, security, user, from, url, ca } = draft
  switch (kind) {
    case 'email': {
      const to = draft.to
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
      return { kind, server: server.trim(), port, security, user, from: from.trim(), to, ca }
    }
    case 'webhook':
      return { kind, url: url.trim(), ca }
    case 'alertmanager':
      return { kind, url: url.trim(), user, ca }
  }
}

function quietOf({ quietFrom, quietTo, quietZone }: Draft): Quiet {
  return { from: minutes(quietFrom), to: minutes(quietTo), offset: zoneMinutes(quietZone) }
}

function minutes(text: string): number {
  const [hour = 0, minute = 0] = text.split(':').map(Number)
  return hour * 60 + minute
}

function zoneMinutes(text: string): number {
  const ahead = minutes(text.replace(/^[+-]/, ''))
  return text.startsWith('-') && ahead !== 0 ? -ahead : ahead
}

function timeText(of: number): string {
  return `${String(Math.floor(of / 60)).padStart(2, '0')}:${String(of % 60).padStart(2, '0')}`
}

function zoneText(offset: number): string {
  return `${offset < 0 ? '-' : '+'}${timeText(Math.abs(offset))}`
}
