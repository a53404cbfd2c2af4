// The development and test adapter: the whole interface over a simulated site. Never in the desktop bundle.

import type {
  AlertView,
  ApplianceRow,
  DiscoveryView,
  Event,
  JobItemView,
  JobView,
  MessageRow,
  NocLink,
  PlanView,
  PracticeKnobs,
} from '../bindings.ts'
import { parseTable } from '../domain/csv.ts'
import { isCode } from '../domain/labels.ts'
import { checkSheet, NO_SETTINGS } from '../domain/settings.ts'
import type { Backend } from './backend.ts'
import { FakeApplets } from './fakeApplets.ts'
import { FakeDesk } from './fakeDesk.ts'
import { makeMessages } from './fakeMessages.ts'
import { DEFAULTS, type FakeOptions, HOLD, optionsOf } from './fakeOptions.ts'
import { problem, SETUP, SITES } from './fakeWords.ts'
import { HOSTILE } from './hostile.ts'
import {
  beatAt,
  INSTALL_FAILED,
  makeAwkward,
  makeHostile,
  makeWorld,
  plannedFor,
  random,
  type Simulated,
  stepsOf,
} from './simulation.ts'

/** What `main.tsx` calls: options from the address. */
export function connect(): Backend {
  const fake = new Fake(optionsOf(window.location.search))
  window.addEventListener(HOLD, () => fake.hold())
  return fake
}

const KEPT = 'Nothing was changed.'

interface Run {
  job: JobView
  progress: Map<string, { steps: ReturnType<typeof stepsOf>; due: number }>
}

export class Fake implements Backend {
  readonly desk: FakeDesk
  private readonly options: FakeOptions
  /** The site's applets; tests change them. */
  readonly vendor: FakeApplets
  private readonly world: Simulated[]
  private readonly byUid: Map<string, Simulated>
  private readonly random: () => number
  private readonly messages: MessageRow[]
  private readonly beatInterval: number
  private heard = new Set<Simulated>()
  private listener: ((events: Event[]) => void) | null = null
  private timer: ReturnType<typeof setInterval> | undefined
  private joined: boolean
  private discovery: DiscoveryView = {
    running: false,
    round: 0,
    found: 0,
    unheard: 0,
    seconds: 0,
    last_found: 0,
    pings: 0,
    receive_buffer: 4 << 20,
    interfaces: [],
    problem: null,
  }
  private discoveryStarted = 0
  private runs = new Map<number, Run>()
  private alerts = new Map<number, AlertView>()
  private knobs: PracticeKnobs = { install_ms: 2000, fail_percent: 0, loss_percent: 0, silent: [] }
  private preferences = new Map<string, string>()
  private readonly lostSince = now() - 252

  constructor(options: Partial<FakeOptions> = {}) {
    this.options = { ...DEFAULTS, ...options }
    this.vendor = new FakeApplets(this.options, (generation) =>
      this.emit([{ kind: 'applets', generation, problem: null }]),
    )
    this.desk = new FakeDesk(this.vendor, (id, until) => this.change(id, { silenced_until: until }))
    this.beatInterval = 5 / this.options.speed
    this.world = makeWorld({ ...this.options, beatInterval: 5 }, now())
    if (this.options.awkward) makeAwkward(this.world)
    if (this.options.hostile) makeHostile(this.world)
    this.byUid = new Map(this.world.map((one) => [one.row.uid, one]))
    this.random = random(this.options.seed + 1)
    this.joined = !this.options.first
    const texts = this.options.hostile ? HOSTILE : []
    const all = this.world.map(({ row }) => row)
    this.messages = makeMessages(this.options.messages, now(), all, texts)
    if (this.options.heard) this.heard = new Set(this.world)
  }

  /** Ends the simulation; for tests. */
  close(): void {
    this.hold()
    this.listener = null
  }

  /** The simulated site stands still from now on. */
  hold(): void {
    clearInterval(this.timer)
  }

  async startState() {
    const joined = this.joined
    return {
      version: '0.1.0',
      capabilities: {
        lan: true,
        local_noc: true,
        manage_noc: joined,
        practice: joined && this.options.practice,
        applet_preview: this.options.preview !== '',
      },
      noc: this.noc(),
      knobs: { ...this.knobs },
    }
  }

  async subscribe(listener: (events: Event[]) => void) {
    this.listener = listener
    queueMicrotask(() => this.emit(this.replay()))
    clearInterval(this.timer)
    this.timer = setInterval(() => this.tick(), 100)
    return () => {
      if (this.listener === listener) this.close()
    }
  }

  async localSetupDefaults() {
    return { ...SETUP }
  }

  async chooseThisComputer(setup: { name: string; pool: string }) {
    if (!setup.name.trim())
      throw problem('site_name_missing', 'The site has no name.', 'Give the site a name, as “Main office”.')
    if (!setup.pool.includes('-'))
      throw problem(
        'bad_pool',
        `“${setup.pool}” is not an address pool.`,
        'Write first and last address, as 192.0.2.10-192.0.2.99.',
      )
    this.join()
  }

  async joinNoc(invite: string) {
    if (!invite.trim().startsWith('muster-invite:'))
      throw problem(
        'bad_invite',
        'This text is not an invite.',
        'Paste the whole text, which begins with “muster-invite:”.',
      )
    if (invite.includes('expired'))
      throw problem('invite_expired', 'The invite has expired.', 'Ask the NOC’s administrator for a new one.')
    this.join()
  }

  async discover() {
    this.discoveryStarted = Date.now()
    this.discovery = {
      running: true,
      round: 1,
      found: 0,
      unheard: this.world.length,
      seconds: 0,
      last_found: 0,
      pings: 1,
      receive_buffer: 4 << 20,
      interfaces: ['eth0', 'wlan0: Network is down'],
      problem: null,
    }
    this.emit([{ kind: 'discovery', discovery: this.discovery }])
  }

  async stopDiscovery() {
    this.discovery = { ...this.discovery, running: false }
    this.emit([{ kind: 'discovery', discovery: this.discovery }])
  }

  async plan(site: number, chosen: { uid: string; claim: string | null }[]): Promise<PlanView> {
    this.requireNoc()
    return {
      site,
      expires: now() + 900,
      rows: chosen.map(({ uid, claim }) => {
        const { row } = this.find(uid)
        const index = this.world.findIndex((one) => one.row.uid === uid)
        const isVouched = row.state !== 'no_voucher'
        const isOwned = isVouched && (row.state !== 'unclaimed' || (claim !== null && isCode(claim)))
        const settings = isOwned ? plannedFor(index, row, this.options.ipv6) : NO_SETTINGS
        return {
          uid,
          mac: row.mac,
          model: row.model,
          ownership: isOwned
            ? ('owned' as const)
            : isVouched
              ? ('unclaimed' as const)
              : ('no_voucher' as const),
          settings,
          current: row.settings,
          rules: isOwned
            ? {
                host_name: 'host-name template {model}-{n:03}',
                address: 'site pool 10.20.1.0-10.20.254.254',
                netmask: 'site netmask',
                gateway: 'site gateway',
                domain: 'site domain',
                dns1: 'site name servers',
                dns2: 'site name servers',
                address6: 'site IPv6 pool 2001:db8:14::/64',
                gateway6: 'site gateway6',
              }
            : ({} as Record<string, string>),
          problem: isOwned
            ? null
            : !isVouched
              ? problem(
                  'no_voucher',
                  'The appliance takes a NOC only on its vendor’s word, and no voucher for it was imported.',
                  'Ask the vendor for it.',
                )
              : claim
                ? problem(
                    'wrong_claim',
                    'The label code is not that of this appliance.',
                    'Read the label again.',
                  )
                : problem(
                    'claim_needed',
                    'The inventory does not know this appliance.',
                    'Type the code on its label.',
                  ),
        }
      }),
    }
  }

  async check(_site: number, rows: { uid: string; settings: ApplianceRow['settings'] }[]) {
    this.requireNoc()
    const taken = this.world
      .filter(({ row }) => row.settings.address !== '')
      .map(({ row }) => ({ uid: row.uid, name: row.settings.host_name, ...row.settings }))
    const errors = checkSheet(rows, taken)
    for (const { uid, settings } of rows)
      if (settings.address && !settings.address.startsWith('10.20.'))
        errors.push({
          uid,
          field: 'address',
          code: 'wrong_subnet',
          message: `${settings.address} is not in this site's network 10.20.0.0/16: choose an address inside it.`,
        })
    return errors
  }

  async configure(site: number, rows: { uid: string; settings: ApplianceRow['settings'] }[]) {
    this.requireNoc()
    const id = this.runs.size + 1
    const items = rows.map(
      ({ uid, settings }): JobItemView => ({
        uid,
        mac: this.find(uid).row.mac,
        settings,
        step: 'waiting',
        percent: 0,
        attempts: 0,
        problem: null,
      }),
    )
    const job: JobView = { id, site, started: now(), finished: null, cancelled: false, items }
    this.runs.set(id, { job, progress: new Map() })
    this.emit([{ kind: 'job', whole: true, job }])
    return id
  }

  async cancelJob(id: number) {
    const run = this.findRun(id)
    run.job.cancelled = true
    const items = run.job.items
      .filter((item) => item.step === 'waiting')
      .map((item) => Object.assign(item, { step: 'cancelled' as const }))
    this.emit([{ kind: 'job', whole: false, job: { ...run.job, items: structuredClone(items) } }])
  }

  async retryJob(id: number, uids: string[]) {
    const run = this.findRun(id)
    run.job.finished = null
    run.job.cancelled = false
    for (const item of run.job.items)
      if (uids.includes(item.uid)) Object.assign(item, { step: 'waiting', percent: 0, problem: null })
    this.emit([{ kind: 'job', whole: true, job: structuredClone(run.job) }])
  }

  async exportJob(id: number) {
    this.findRun(id)
    return `/home/admin/Documents/muster-job-${id}.csv`
  }

  async acknowledge(id: number, note: string) {
    this.change(id, { acknowledged: now(), acknowledged_by: 'console desk', note })
  }

  private change(id: number, changed: Partial<AlertView>) {
    const alert = this.alerts.get(id)
    if (!alert) throw problem('not_found', 'There is no such alert.', 'Look at the list again.')
    this.emit([{ kind: 'alerts', reset: false, alerts: [this.putAlert({ ...alert, ...changed })] }])
  }

  async beats(uid: string, since: number) {
    const { row } = this.find(uid)
    if (row.last_beat === null) return []
    const step = Math.max(60, Math.floor((now() - since) / 700))
    const beats = []
    for (let at = Math.ceil(since / step) * step; at <= row.last_beat; at += step)
      // A gap, as an outage leaves one.
      if (at % 86_400 < 30_000 || at % 86_400 > 33_000) beats.push(beatAt(uid, at, now()))
    return beats
  }

  async importManifest(csv: string) {
    const [header = [], ...lines] = parseTable(csv)
    const proof = header.includes('voucher') ? 'voucher' : 'claim'
    const missing = ['serial', 'mac', 'uid', proof].filter((name) => !header.includes(name))
    if (missing.length > 0)
      throw problem(
        'bad_manifest',
        `The file has no column “${missing[0]}”.`,
        'The first line names the columns serial, mac, uid, claim and, if you like, model and voucher.',
      )
    const errors = lines.flatMap((cells, i) =>
      cells.length === header.length
        ? []
        : [
            {
              line: i + 2,
              message: `This line has ${cells.length} columns, the header has ${header.length}.`,
            },
          ],
    )
    return { added: errors.length > 0 ? 0 : lines.length, unchanged: 0, errors }
  }

  async setKnobs(knobs: PracticeKnobs) {
    this.knobs = { ...knobs, silent: [...knobs.silent] }
  }

  async applets(_site: number, language: string) {
    return this.vendor.views(language)
  }

  async checkApplication(_site: number, applet: string, values: unknown) {
    return this.vendor.check(applet, values)
  }

  appletPage(_site: number, name: string) {
    return this.vendor.page(name)
  }

  async getPreference(key: string) {
    return this.preferences.get(key) ?? null
  }

  async setPreference(key: string, value: string) {
    this.preferences.set(key, value)
  }

  /** Every appliance of the site, heard or not; for tests. */
  uids(): string[] {
    return [...this.byUid.keys()]
  }

  /** Sends an event as the tray would; for tests. */
  inject(event: Event): void {
    this.emit([event])
  }

  private noc(): NocLink {
    const url = 'https://127.0.0.1:8443'
    if (!this.joined) return { kind: 'not_joined' }
    if (!this.options.lost) return { kind: 'connected', url }
    return {
      kind: 'lost',
      url,
      since: this.lostSince,
      problem: problem(
        'noc_unreachable',
        'The NOC does not answer.',
        'Check the network, or whether the NOC is running.',
      ),
    }
  }

  private join(): void {
    this.joined = true
    this.emit(this.replay())
  }

  private requireNoc(): void {
    if (this.options.lost)
      throw problem(
        'noc_unreachable',
        `The NOC does not answer. ${KEPT}`,
        'Check the network, then try again.',
      )
  }

  private replay(): Event[] {
    const rows = this.joined ? [...this.heard].map(({ row }) => row) : []
    return [
      { kind: 'noc', noc: this.noc(), sites: this.joined ? SITES : [] },
      { kind: 'appliances', reset: true, rows },
      { kind: 'discovery', discovery: this.discovery },
      { kind: 'alerts', reset: true, alerts: [...this.alerts.values()] },
      { kind: 'messages', messages: this.messages },
      ...[...this.runs.values()].map(
        ({ job }): Event => ({ kind: 'job', whole: true, job: structuredClone(job) }),
      ),
    ]
  }

  private emit(events: Event[]): void {
    if (events.length > 0) this.listener?.(events)
  }

  private tick(): void {
    const changed = new Set<Simulated>()
    const events: Event[] = []
    if (this.discovery.running) events.push(this.discoverStep(changed))
    for (const run of this.runs.values()) {
      const event = this.jobStep(run, changed)
      if (event) events.push(event)
    }
    const alerts = this.beatStep(changed)
    if (alerts.length > 0) events.push({ kind: 'alerts', reset: false, alerts })
    const rows = [...changed].filter((one) => this.heard.has(one)).map(({ row }) => row)
    if (rows.length > 0) events.unshift({ kind: 'appliances', reset: false, rows })
    this.emit(events)
  }

  private discoverStep(changed: Set<Simulated>): Event {
    const seconds = ((Date.now() - this.discoveryStarted) / 1000) * this.options.speed
    const target = Math.ceil(this.world.length * Math.min(1, 1 - Math.exp(-seconds * 2.2) + 0.02))
    const waiting = this.world
      .filter((one) => !this.heard.has(one))
      .slice(0, Math.max(0, target - this.heard.size))
    for (const one of waiting) {
      this.heard.add(one)
      changed.add(one)
    }
    const found = Math.min(target, this.world.length)
    const done = seconds > 2.2
    if (done) for (const one of this.world) if (!this.heard.has(one)) changed.add(one) && this.heard.add(one)
    this.discovery = {
      ...this.discovery,
      running: !done,
      round: 1 + Math.floor(seconds / 0.7),
      found: done ? this.world.length : found,
      unheard: done ? 0 : (this.world.length - found) * 1.1,
      seconds,
      last_found: done ? this.discovery.last_found : seconds,
      pings: 1 + Math.floor(seconds / 0.1),
    }
    return { kind: 'discovery', discovery: this.discovery }
  }

  private jobStep(run: Run, changed: Set<Simulated>): Event | null {
    const { job, progress } = run
    if (job.finished !== null) return null
    const time = Date.now()
    const moved: JobItemView[] = []
    let active = job.items.filter((item) => progress.has(item.uid)).length
    for (const item of job.items) {
      if (item.step === 'waiting' && active < 64) {
        active++
        const fails = this.random() * 100 < this.knobs.fail_percent
        progress.set(item.uid, { steps: stepsOf(this.knobs.install_ms / 1000, fails), due: 0 })
        item.attempts += 1
      }
      const going = progress.get(item.uid)
      if (!going || going.due > time) continue
      const next = going.steps.next().value
      if (!next) continue
      going.due = time + (next.seconds * 1000) / this.options.speed
      item.step = next.step
      item.percent = next.percent
      if (next.step === 'failed') item.problem = INSTALL_FAILED
      if (next.step === 'failed' || next.step === 'configured') progress.delete(item.uid)
      moved.push({ ...item })
      changed.add(this.applyStep(item))
    }
    const isDone = job.items.every((item) => ['configured', 'failed', 'cancelled'].includes(item.step))
    if (isDone) job.finished = now()
    return moved.length > 0 || isDone ? { kind: 'job', whole: false, job: { ...job, items: moved } } : null
  }

  private applyStep(item: JobItemView): Simulated {
    const one = this.find(item.uid)
    const state =
      item.step === 'configured'
        ? 'configured'
        : item.step === 'failed'
          ? 'failed'
          : item.step === 'confirming' || item.step === 'kick_starting'
            ? 'provisional'
            : 'configuring'
    const isOn = state === 'configured' || state === 'provisional'
    one.row = {
      ...one.row,
      state,
      settings: isOn ? item.settings : one.row.settings,
      health: state === 'configured' ? 'well' : one.row.health,
      last_beat: state === 'configured' ? now() : one.row.last_beat,
      site: isOn ? 1 : one.row.site,
    }
    one.nextBeat = Date.now() / 1000
    return one
  }

  private beatStep(changed: Set<Simulated>): AlertView[] {
    const time = Date.now() / 1000
    const silenced = new Set(this.knobs.silent)
    const alerts: AlertView[] = []
    for (const one of this.world) {
      if (one.row.state !== 'configured' || one.nextBeat > time) continue
      if (!silenced.has(one.row.uid)) {
        one.nextBeat = time + this.beatInterval * (0.9 + 0.2 * this.random())
        const wasSilent = one.row.health === 'silent'
        one.row = {
          ...one.row,
          health: wasSilent ? 'recovering' : 'well',
          last_beat: now(),
          values: beatAt(one.row.uid, now(), now(), this.options.applets && one.row.model.startsWith('MX-')),
        }
        changed.add(one)
        const open = [...this.alerts.values()].find(
          (alert) => !alert.closed && alert.appliances[0]?.uid === one.row.uid,
        )
        if (open) alerts.push(this.putAlert({ ...open, closed: now() }))
        continue
      }
      const missed = (time - one.nextBeat) / this.beatInterval
      const health = missed > 2 ? 'silent' : 'late'
      if (one.row.health === health) continue
      one.row = { ...one.row, health }
      changed.add(one)
      if (health === 'silent')
        alerts.push(
          this.putAlert({
            id: this.alerts.size + 1,
            kind: 'silent',
            rule: '',
            site: 1,
            appliances: [{ uid: one.row.uid, name: one.row.settings.host_name || one.row.mac, health }],
            opened: now(),
            closed: null,
            acknowledged: null,
            acknowledged_by: '',
            note: '',
            silenced_until: null,
            escalated: null,
          }),
        )
    }
    return alerts
  }

  private putAlert(alert: AlertView): AlertView {
    this.alerts.set(alert.id, alert)
    return alert
  }

  private find(uid: string): Simulated {
    const one = this.byUid.get(uid)
    if (!one) throw problem('unknown_appliance', `No appliance ${uid} is known.`, 'Run a discovery.')
    return one
  }

  private findRun(id: number): Run {
    const run = this.runs.get(id)
    if (!run) throw problem('unknown_job', `There is no job ${id}.`, 'Start a new one.')
    return run
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
