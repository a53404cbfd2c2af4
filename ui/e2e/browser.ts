// Chromium over the simulated site, served from loopback with the content policy of the desktop app.

import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type PreviewServer, preview } from 'vite'
import { HOLD } from '../src/backend/fakeOptions.ts'
import { AppletPages } from './appletPages.ts'

/** What src-tauri/tauri.conf.json allows; the pages must work under it. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src ipc: http://ipc.localhost 'self'"
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

export type Scheme = 'light' | 'dark'

export class Stage {
  /** The pages of applets, on an origin of their own. */
  readonly applets: AppletPages
  private readonly server: PreviewServer
  private readonly browser: Browser
  private readonly base: string

  private constructor(server: PreviewServer, browser: Browser, base: string, applets: AppletPages) {
    this.applets = applets
    this.server = server
    this.browser = browser
    this.base = base
  }

  static async open(): Promise<Stage> {
    if (!existsSync(CHROMIUM))
      throw new Error(`no Chromium at ${CHROMIUM}: install it, or set CHROMIUM to its path`)
    const applets = await AppletPages.open()
    const policy = `${POLICY}; object-src 'none'; frame-src ${applets.origin}`
    const server = await preview({
      mode: 'fake',
      build: { outDir: 'dist-fake' },
      preview: { port: 0, strictPort: false, headers: { 'Content-Security-Policy': policy } },
    })
    const address = server.httpServer.address()
    if (address === null || typeof address === 'string') throw new Error('the preview server has no port')
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
    return new Stage(server, browser, `http://127.0.0.1:${address.port}/`, applets)
  }

  /** A page at `path`, as `?appliances=24#/alerts`. Its errors, also against the policy, are collected. */
  async page(
    path: string,
    scheme: Scheme = 'light',
    locale = 'en-GB',
  ): Promise<{ page: Page; errors: string[] }> {
    const page = await this.browser.newPage({
      locale,
      viewport: { width: 1360, height: 820 },
      colorScheme: scheme,
      reducedMotion: 'reduce',
    })
    page.setDefaultTimeout(20_000)
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    // Applets of the simulated site have their pages here.
    const at = path.replace(/\b(applets=1|attack=[\w-]+|preview=[\w-]+)/, `$1&pages=${this.applets.origin}`)
    await page.goto(this.base + at)
    return { page, errors }
  }

  /**
   * Nothing changes any more: the site stands still, what it said last is painted, fades are over. A page that goes on
   * while it is examined shows a button's colour from before and its state from after.
   */
  async hold(page: Page): Promise<void> {
    await page.evaluate(async (name) => {
      window.dispatchEvent(new Event(name))
      const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
      await painted()
      const ends = (one: Animation) => Number.isFinite(one.effect?.getComputedTiming().endTime)
      await Promise.allSettled(
        document
          .getAnimations()
          .filter(ends)
          .map((one) => one.finished),
      )
      await painted()
    }, HOLD)
  }

  async close(): Promise<void> {
    await this.browser.close()
    await this.server.close()
    this.applets.close()
  }
}
