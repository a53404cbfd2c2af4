// A real NOC over TLS, a fleet of real agents and a console that nobody sits at: the programs as they are built. Chromium takes
// the NOC's own certificate, by its key, and no other.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { connect } from 'node:tls'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { HOSTILE } from '../src/backend/hostile.ts'

export const PASSWORD = 'correct horse battery'
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const PROGRAMS = resolve(import.meta.dirname, '../..', process.env.CARGO_TARGET_DIR ?? 'target', 'debug')
// Receivers of alerts are on this machine.
process.env.MUSTER_NOC_CHANNEL_NETWORKS = '127.0.0.1/32'
/** Appliances that really run, and rows that only stand in the database of the other organisation. */
export const REAL = 4
export const ROWS = Number(process.env.ROWS ?? 10_000)
export const LONG = 'Niederlassung Oberengadin, deren Name länger ist als jede Spalte'

export class World {
  private readonly folder = mkdtempSync(join(tmpdir(), 'muster-face-'))
  private readonly children: ChildProcess[] = []
  private readonly contexts: BrowserContext[] = []
  private browser: Browser | null = null
  /** The vendor's file of the appliances that run. */
  readonly manifest = join(this.folder, 'manifest.csv')
  /** MAC addresses of the appliances that run. */
  readonly macs: string[] = []
  base = ''

  static async open(): Promise<World> {
    const world = new World()
    try {
      await world.start()
      return world
    } catch (reason) {
      await world.close()
      throw reason
    }
  }

  private async start(): Promise<void> {
    if (!existsSync(CHROMIUM))
      throw new Error(`no Chromium at ${CHROMIUM}: install it, or set CHROMIUM to its path`)
    for (const name of ['muster-noc', 'muster', 'fleet'])
      if (!existsSync(join(PROGRAMS, name)))
        throw new Error(`no ${name} in ${PROGRAMS}: run \`make programs\` first`)

    const fleet = this.spawn('fleet', ['--count', String(REAL)])
    const ready = JSON.parse(await lineOf(fleet))
    const manifest = this.manifest
    writeFileSync(manifest, ready.manifest)
    const macs = String(ready.manifest).match(/([0-9A-F]{2}:){5}[0-9A-F]{2}/gi) ?? []
    this.macs.push(...macs.map((mac) => mac.toUpperCase()))

    const address = `127.0.0.1:${await freePort()}`
    this.noc('init', '--address', address, '--listen', address)
    this.noc('organisation', 'add', '--handle', 'acme', '--name', 'Acme AG')
    this.noc(
      ...'site add --name Practice --pool 10.99.0.10-10.99.255.250 --netmask 255.255.0.0'.split(' '),
      ...PRACTICE,
    )
    this.noc('site', 'add', '--name', 'Bern', ...ACME)
    this.noc('site', 'add', '--name', LONG, ...ACME)
    this.operator('root', 'administrator')
    this.operator('anna', 'administrator', 'acme')
    this.operator('vera', 'viewer', 'acme')
    this.noc('inventory', 'import', manifest)
    this.fill()

    const serve = this.spawn('muster-noc', ['serve'])
    await lineOf(serve)
    this.base = `https://${address}`
    const invite = this.noc('console', 'invite', '--site', 'Practice')
    const reach = ['--no-lan', '--target', `127.0.0.1:${ready.port}`]
    this.run('muster', [...reach, 'join', '-'], invite)
    this.spawn('muster', [...reach, 'run'])

    const pin = await keyOf(this.base)
    this.browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', `--ignore-certificate-errors-spki-list=${pin}`],
    })
  }

  /** The NOC's command line, beside the NOC that serves. */
  noc(...words: string[]): string {
    return this.run('muster-noc', words)
  }

  /** The command line of consoles and vendors. */
  muster(...words: string[]): string {
    return this.run('muster', words)
  }

  operator(login: string, role: string, organisation?: string): void {
    const home = organisation ? ['--organisation', organisation] : []
    this.run('muster-noc', ['operator', 'add', '--login', login, '--role', role, ...home], PASSWORD)
  }

  /** Another console joins with an invite. */
  join(invite: string): void {
    this.run('muster', ['--no-lan', 'join', '-'], invite, { MUSTER_DATA_DIR: join(this.folder, 'second') })
  }

  /** Writes into the database, as another process of the NOC would. */
  database(work: (db: DatabaseSync) => void): void {
    const db = new DatabaseSync(join(this.folder, 'noc/noc.sqlite'))
    try {
      db.exec('PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE; UPDATE noc SET revision = revision + 1')
      work(db)
      db.exec('COMMIT')
    } finally {
      db.close()
    }
  }

  /** A browser of somebody, with nothing in it. Whatever its pages complain of is collected. */
  async visitor(scheme: 'light' | 'dark' = 'light'): Promise<Visitor> {
    if (!this.browser) throw new Error('the world is not open')
    const context = await this.browser.newContext({
      viewport: { width: 1360, height: 820 },
      colorScheme: scheme,
      reducedMotion: 'reduce',
      baseURL: this.base,
    })
    this.contexts.push(context)
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    return new Visitor(context, page)
  }

  async close(): Promise<void> {
    for (const context of this.contexts) await context.close()
    await this.browser?.close()
    for (const child of this.children.reverse()) {
      if (child.exitCode !== null) continue
      const gone = new Promise((done) => child.once('exit', done))
      child.kill()
      await gone
    }
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** With nothing applied, so that the status daemon does not wait for beats of what only stands in the database. */
  private fill(): void {
    this.database((db) => {
      const site = db.prepare("SELECT id FROM sites WHERE name = 'Bern'").get()?.id as number
      const insert = db.prepare(
        `INSERT INTO appliances (uid, mac, serial, model, claim, organisation, site, seq, applied, settings, provisioning, health,
         revision) VALUES (?, ?, ?, 'Mail', '', 2, ?, 1, 0, ?, 'configured', ?, 1)`,
      )
      for (let n = 0; n < ROWS; n++) {
        const name =
          n === 3 ? 'a-host-name-that-fills-all-of-its-sixty-three-letters-and-not-one-less' : `mail-${n}`
        const settings = {
          ...SETTINGS,
          host_name: name,
          address: `10.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`,
        }
        const id = Buffer.alloc(20)
        id.writeUInt32BE(n + 1)
        const mac = Buffer.from([2, 0, 0, n >> 16, (n >> 8) & 255, n & 255])
        // Of more than the usual, the status daemon would be busy for minutes with taking back what is said here.
        const health = ROWS > 10_000 ? 'not_expected' : n % 10 === 0 ? 'silent' : 'well'
        // What others call their things is nothing that a page may take for its own.
        const serial = HOSTILE[n] ?? `SN${String(n).padStart(5, '0')}`
        insert.run(id, mac, serial, site, JSON.stringify(settings), health)
      }
    })
  }

  private run(program: string, words: string[], input = '', more: NodeJS.ProcessEnv = {}): string {
    const options = {
      input,
      env: { ...this.env(), ...more },
      encoding: 'utf8',
      timeout: 60_000,
      maxBuffer: 64 << 20,
    } as const
    return execFileSync(join(PROGRAMS, program), words, { ...options, stdio: ['pipe', 'pipe', 'pipe'] })
  }

  private spawn(program: string, words: string[]): ChildProcess {
    const child = spawn(join(PROGRAMS, program), words, {
      env: this.env(),
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.children.push(child)
    return child
  }

  private env(): NodeJS.ProcessEnv {
    const own = { MUSTER_NOC_DIR: join(this.folder, 'noc'), MUSTER_DATA_DIR: join(this.folder, 'console') }
    return { ...process.env, ...own, MUSTER_KEYRING: 'off' }
  }
}

const PRACTICE = '--gateway 10.99.0.1 --domain practice.example --dns1 10.99.0.2 --beat-interval 5'.split(' ')
const ACME =
  '--pool 10.1.0.1-10.1.255.250 --netmask 255.0.0.0 --domain acme.example --organisation acme'.split(' ')
const SETTINGS = { domain: 'acme.example', netmask: '255.0.0.0', gateway: '', dns1: '', dns2: '' }

/** Somebody at a browser. */
export class Visitor {
  /** What the pages wrote as errors, threw, or did against the content policy. */
  readonly errors: string[] = []
  readonly context: BrowserContext
  readonly page: Page

  constructor(context: BrowserContext, page: Page) {
    this.context = context
    this.page = page
    page.on('pageerror', (error) => this.errors.push(error.message))
    page.on('console', (message) => {
      // A refusal is told in the page, and by the browser besides.
      if (message.type() === 'error' && !/status of (400|401|403|404|412|422)/.test(message.text()))
        this.errors.push(message.text())
    })
  }

  async signIn(login: string, path = '/'): Promise<this> {
    await this.page.goto(path)
    await this.page.getByTestId('login').fill(login)
    await this.page.getByTestId('password').fill(PASSWORD)
    await this.page.getByTestId('sign-in-submit').click()
    await this.page.getByTestId('nav-appliances').waitFor()
    return this
  }
}

/** A port that nobody listens on. Consoles are told it before the NOC serves. */
function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => done(port))
    })
  })
}

/** The first line that a program writes. */
async function lineOf(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('its output is not read')
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    // What it writes from now on is let go.
    child.stdout.resume()
    return line
  }
  throw new Error(`${child.spawnfile} ended without a word`)
}

/** The hash of the server's public key, as Chromium wants it. */
function keyOf(base: string): Promise<string> {
  const { hostname, port } = new URL(base)
  return new Promise((done, failed) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    })
    socket.once('error', failed)
    socket.once('secureConnect', () => {
      const x509 = socket.getPeerX509Certificate()
      socket.destroy()
      if (!x509) return failed(new Error('the NOC showed no certificate'))
      const key = x509.publicKey.export({ type: 'spki', format: 'der' })
      done(createHash('sha256').update(key).digest('base64'))
    })
  })
}

/** Asks the NOC as a program does. */
export function ask(
  base: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  return new Promise((done, failed) => {
    const asked = request(base + path, { headers, rejectUnauthorized: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part) => {
        text += part
      })
      answer.on('end', () => done({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
    })
    asked.once('error', failed)
    asked.end()
  })
}
