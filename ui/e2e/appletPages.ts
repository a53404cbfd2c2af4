// The pages of applets, served from an origin of their own with the headers of the desktop app's scheme; and an address that
// nobody may reach, which counts who does.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

const host = (name: string) => readFileSync(new URL(`../src/applets/host/${name}`, import.meta.url), 'utf8')
const example = (name: string) =>
  readFileSync(new URL(`../../examples/applets/${name}`, import.meta.url), 'utf8')

/** An applet's files; a `prelude` takes the place of ours, as if the applet had got past it. */
export interface Files {
  html?: string
  css?: string
  logic?: string
  prelude?: string
}

export class AppletPages {
  readonly origin: string
  /** What a page may not reach. */
  readonly canary: string
  private readonly served = new Map<string, Files>()
  private readonly servers: Server[]
  private readonly asked: string[]

  private constructor(servers: [Server, Server], asked: string[]) {
    const [pages, canary] = servers.map(
      (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    )
    this.origin = pages ?? ''
    this.canary = canary ?? ''
    this.servers = servers
    this.asked = asked
    this.served.set('mail-gateway', {
      html: example('mail-gateway/page.html'),
      css: example('mail-gateway/page.css'),
      logic: example('mail-gateway/logic.js'),
    })
  }

  static async open(): Promise<AppletPages> {
    const bridge = host('bridge.js')
    const policy = host('policy.txt')
      .trim()
      .replace('{bridge}', createHash('sha256').update(bridge).digest('base64'))
    const template = host('page.template')
    const prelude = host('prelude.js')
    const asked: string[] = []
    const pages = createServer((request, response) => {
      const files = self.served.get(request.url?.split('/')[2] ?? '')
      response.setHeader('Content-Security-Policy', policy)
      response.setHeader('Content-Type', 'text/html; charset=utf-8')
      response.setHeader('X-Content-Type-Options', 'nosniff')
      if (!files) {
        response.writeHead(404).end()
        return
      }
      const applet = JSON.stringify({ html: '', css: '', logic: '', prelude, ...files }).replaceAll(
        '<',
        '\\u003c',
      )
      response.end(template.replace('{applet}', () => applet).replace('{bridge}', () => bridge))
    })
    const canary = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.end('reached')
    })
    for (const server of [pages, canary])
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', () => done()))
    const self = new AppletPages([pages, canary], asked)
    return self
  }

  /** Serves an applet; `CANARY` in it is the address that nobody may reach. */
  set(name: string, files: Files): void {
    const filled = Object.entries(files).map(([key, text]) => [key, text.replaceAll('CANARY', this.canary)])
    this.served.set(name, Object.fromEntries(filled))
  }

  /** What came to the address since the last call. Chromium may open a connection before it asks its policy, and send nothing. */
  reached(): string[] {
    return this.asked.splice(0)
  }

  close(): void {
    for (const server of this.servers) {
      server.closeAllConnections()
      server.close()
    }
  }
}
