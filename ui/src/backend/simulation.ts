// A lively site in memory, for development and tests: appliances that answer, install, beat and fall silent.
// Only `--mode fake` bundles hold it.

import type {
  ApplianceRow,
  BeatView,
  JobItemView,
  JobStep,
  RowHealth,
  RowState,
  Settings,
} from '../bindings.ts'
import { formatIp } from '../domain/ipv4.ts'
import { NO_SETTINGS } from '../domain/settings.ts'
import { HOSTILE } from './hostile.ts'

export interface WorldOptions {
  appliances: number
  seed: number
  /** Part of the appliances that is configured from the start. */
  configured: number
  /** Part of the appliances that the inventory does not know. */
  unclaimed: number
  /** Share of the unconfigured that want a voucher which the NOC does not have. */
  unvouched?: number
  /** The site has an IPv6 pool. */
  ipv6?: boolean
  /** Application settings of the configured, by turns; one a line. */
  documents?: string
  /** Mail gateways count mails day by day. */
  applets?: boolean
  /** Seconds between beats. */
  beatInterval: number
}

/** One simulated appliance and what the engine would know of it. */
export interface Simulated {
  row: ApplianceRow
  nextBeat: number
  inJob: boolean
}

export type Random = () => number

/** mulberry32: the same site for the same seed. */
export function random(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const MAKERS: readonly [string, string, string][] = [
  ['00:1B:21', 'Intel Corporate', 'MX-200'],
  ['00:0D:B9', 'PC Engines GmbH', 'APU-4'],
  ['B8:27:EB', 'Raspberry Pi Foundation', 'EdgeBox Mini'],
  ['00:25:90', 'Super Micro Computer, Inc.', 'MX-400'],
  ['00:90:FB', 'PORTWELL, INC.', 'Gate 10'],
]

/** What the policy gives an appliance, and what its application has already. */
export function plannedFor(index: number, row: ApplianceRow, ipv6: boolean): ApplianceRow['settings'] {
  const { application } = row.settings
  return { ...settingsFor(index, row.model, ipv6), ...(application === undefined ? {} : { application }) }
}

export function makeWorld(options: WorldOptions, now: number): Simulated[] {
  const next = random(options.seed)
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0')
  return Array.from({ length: options.appliances }, (_, i) => {
    const [prefix, maker, model] = MAKERS[Math.floor(next() * MAKERS.length)] as [string, string, string]
    const isLocal = next() < 0.03
    const tail = [i >> 16, (i >> 8) & 255, i & 255].map(hex).join(':')
    const uid = Array.from({ length: 8 }, () =>
      Array.from({ length: 4 }, () => letters[Math.floor(next() * 32)]).join(''),
    ).join('-')
    const isConfigured = next() < options.configured
    const isUnclaimed = !isConfigured && next() < options.unclaimed
    const wants = options.unvouched ?? 0
    const isUnvouched = wants > 0 && !isConfigured && !isUnclaimed && next() < wants
    const documents = options.documents?.split('\n').filter((text) => text !== '') ?? []
    const application = documents[i % documents.length]
    const settings = isConfigured
      ? { ...settingsFor(i, model, options.ipv6), ...(application === undefined ? {} : { application }) }
      : NO_SETTINGS
    const row: ApplianceRow = {
      uid,
      mac: isLocal ? `02:00:00:${tail}` : `${prefix}:${tail}`,
      maker: isLocal ? '' : maker,
      mac_is_local: isLocal,
      model: isUnclaimed ? '' : model,
      serial: isUnclaimed ? '' : `SN${String(100000 + i)}`,
      state: isConfigured
        ? 'configured'
        : isUnclaimed
          ? 'unclaimed'
          : isUnvouched
            ? 'no_voucher'
            : 'unconfigured',
      settings,
      heard: true,
      heard_at: [`fe80::${(i + 1).toString(16)}%eth0`, ...(isConfigured ? [`${settings.address}%eth0`] : [])],
      conflicts: [],
      health: isConfigured ? 'well' : 'not_expected',
      last_beat: isConfigured ? now - Math.floor(next() * options.beatInterval) : null,
      values: isConfigured
        ? beatAt(uid, now, now, options.applets === true && model.startsWith('MX-'))
        : null,
      site: isConfigured ? 1 : null,
    }
    return { row, nextBeat: now + next() * options.beatInterval, inJob: false }
  })
}

/** Gives the appliances every state and health in turn, the longest names there can be, and conflicts. */
export function makeAwkward(world: readonly Simulated[]): void {
  const states: RowState[] = [
    'configured',
    'failed',
    'provisional',
    'not_heard',
    'configuring',
    'unclaimed',
    'unconfigured',
    'no_voucher',
  ]
  const healths: RowHealth[] = ['well', 'late', 'silent', 'never_reported', 'recovering', 'not_expected']
  world.forEach((one, i) => {
    const state = states[i % states.length] as RowState
    const long = `${'a-very-long-host-name-that-somebody-chose-for-this-appliance-'.slice(0, 60)}${String(i).padStart(3, '0')}`
    one.row = {
      ...one.row,
      state,
      maker: 'An Unusually Long Manufacturer Name GmbH & Co. KG, Industrial Networks Division',
      model: 'Model with a name that does not end where one would expect it to end',
      settings: { ...settingsFor(i, 'x'), host_name: long, domain: `${'sub.'.repeat(30)}example.net` },
      health: healths[i % healths.length] as RowHealth,
      heard: state !== 'not_heard',
      conflicts: i % 3 === 0 ? ['address 10.20.1.0 with ABCD-EFGH', 'host name mail-01 with IJKL-MNOP'] : [],
    }
    one.nextBeat = Number.POSITIVE_INFINITY
  })
}

/** Gives the appliances texts that are not meant to be read only. The NOC refuses some of them; the page trusts nobody. */
export function makeHostile(world: readonly Simulated[]): void {
  world.forEach((one, i) => {
    const text = HOSTILE[i % HOSTILE.length] as string
    const settings = { ...one.row.settings, host_name: text, domain: text }
    one.row = {
      ...one.row,
      maker: text,
      model: text,
      serial: text,
      conflicts: [text],
      heard_at: [text],
      settings,
    }
    one.nextBeat = Number.POSITIVE_INFINITY
  })
}

/** What the site's policy gives the n-th appliance; 10.20.0.0/16, and 2001:db8:14::/64 where it has IPv6. */
export function settingsFor(n: number, model: string, ipv6 = false): Settings {
  const base = 10 * 2 ** 24 + 20 * 2 ** 16
  const stem = (model || 'node').toLowerCase().replace(/[^a-z0-9]+/g, '-')
  return {
    host_name: `${stem}-${String(n + 1).padStart(3, '0')}`,
    domain: 'site.example.net',
    address: formatIp(base + 256 + n),
    netmask: '255.255.0.0',
    gateway: '10.20.0.1',
    dns1: '10.20.0.53',
    dns2: '10.20.0.54',
    address6: ipv6 ? `2001:db8:14::${(256 + n).toString(16)}/64` : '',
    gateway6: ipv6 ? '2001:db8:14::1' : '',
  }
}

/** A smooth, repeatable beat for an appliance at a time. */
export function beatAt(uid: string, at: number, now: number, countsMail = false): BeatView {
  const phase = (uid.charCodeAt(0) * 7 + uid.charCodeAt(3) * 13) % 100
  const hour = at / 3600
  const wave = (period: number) => Math.sin(((hour + phase) * 2 * Math.PI) / period)
  const noise = random(at + phase)()
  return {
    at,
    uptime_s: Math.max(0, Math.round(now - (now - (now % 400_000)) + (at - now) + 90_000)),
    load: Math.max(0.02, 0.6 + 0.4 * wave(12) + 0.25 * noise),
    memory_percent: 42 + 12 * wave(24) + 3 * noise,
    disk_percent: 38 + ((hour * 0.7 + phase) % 20),
    counters: {
      mails: Math.max(0, Math.round((at % 86_400) / 30 + 40 * noise)),
      queue: Math.round(8 * noise),
      ...(countsMail ? mailDays(phase) : {}),
    },
    drift: [],
    address_conflict: null,
    network_problem: null,
    host: {
      agent: '0.1.0',
      agent_mib: 4.2,
      disks: [
        { mount: '/', percent: 38 + ((hour * 0.7 + phase) % 20) },
        { mount: '/var', percent: 21 },
      ],
      temperature_c: Math.round(410 + 30 * wave(24)) / 10,
      interface_errors: 0,
      clock_offset_s: 0,
    },
  }
}

/** The counters of the last seven days that examples/applets/mail-gateway draws. */
function mailDays(phase: number): Record<string, number> {
  const next = random(phase)
  const days = Array.from({ length: 7 }, (_, i): [string, number][] => {
    const mails = Math.round(2000 + 9000 * next())
    return [
      [`mails_day_${i + 1}`, mails],
      [`quarantined_day_${i + 1}`, Math.round(mails * 0.12 * next())],
    ]
  })
  return Object.fromEntries(days.flat())
}

/** The steps of one configuration, with how long each takes in seconds. */
export function* stepsOf(
  installSeconds: number,
  fails: boolean,
): Generator<{ step: JobStep; percent: number; seconds: number }> {
  yield { step: 'sending', percent: 0, seconds: 0.3 }
  for (let percent = 0; percent < 100; percent += 20) {
    yield { step: 'installing', percent, seconds: installSeconds / 5 }
    if (fails && percent >= 40) {
      yield { step: 'failed', percent, seconds: 0 }
      return
    }
  }
  yield { step: 'kick_starting', percent: 100, seconds: 0.2 }
  yield { step: 'confirming', percent: 100, seconds: 0.6 }
  yield { step: 'configured', percent: 100, seconds: 0 }
}

export const INSTALL_FAILED: NonNullable<JobItemView['problem']> = {
  code: 'address_in_use',
  message: 'Another device already answers at this address. The appliance kept what it had.',
  remedy: 'Find the other device or choose another address, then retry.',
}
