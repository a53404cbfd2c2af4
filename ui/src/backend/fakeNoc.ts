// A NOC in memory, for tests of the pages: it keeps what it is given, refuses what it is told to, and says what changes.

import type { Changes, Listener, Noc, NocProblem, OwnSession, Query, Versioned } from './noc.ts'

export class FakeNoc implements Noc {
  onEnded: (() => void) | null = null
  /** What is answered, by address without its query; lists as they are, whatever is asked. */
  readonly things = new Map<string, unknown>()
  /** Refusals, by method and address. */
  readonly refusals = new Map<string, NocProblem>()
  readonly asked: { method: string; path: string; query?: Query; body?: unknown; tag?: string }[] = []
  isSignedIn = true
  private held: Promise<void> | null = null
  private listeners = new Set<Listener>()
  private version = 1

  private readonly me: OwnSession

  constructor(me: OwnSession) {
    this.me = me
  }

  signIn(login: string, password: string): Promise<OwnSession> {
    return this.answer('POST', '/v1/sessions', { body: { login, password } }, () => {
      this.isSignedIn = true
      return this.me
    })
  }

  own(): Promise<OwnSession | null> {
    return this.answer('GET', '/v1/session', {}, () => (this.isSignedIn ? this.me : null))
  }

  signOut(): Promise<void> {
    return this.answer('DELETE', '/v1/session', {}, () => {
      this.isSignedIn = false
    })
  }

  get<T>(path: string, query: Query = {}): Promise<T> {
    // Every list ends with its second page.
    return this.answer('GET', path, { query }, () => (query.after ? { items: [] } : this.find(path)) as T)
  }

  read<T>(path: string): Promise<Versioned<T>> {
    return this.answer('GET', path, {}, () => ({ value: this.find(path) as T, tag: String(this.version) }))
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.answer('POST', path, { body }, () => this.find(`POST ${path}`) as T)
  }

  change<T>(method: 'PUT' | 'PATCH', path: string, tag: string, body: unknown): Promise<Versioned<T>> {
    return this.answer(method, path, { body, tag }, () => {
      this.version += 1
      return { value: this.find(`${method} ${path}`) as T, tag: String(this.version) }
    })
  }

  remove(path: string): Promise<void> {
    return this.answer('DELETE', path, {}, () => undefined)
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener)
    listener.onLink(true)
    return () => this.listeners.delete(listener)
  }

  /** Somebody else changed something. */
  changed(changes: Partial<Changes>): void {
    this.version += 1
    for (const listener of this.listeners) listener.onChanges({ appliances: [], kinds: [], ...changes })
  }

  /** Keeps answers back until the answer is called. */
  hold(): () => void {
    let release = () => {}
    this.held = new Promise((done) => {
      release = done
    })
    return () => {
      this.held = null
      release()
    }
  }

  link(isUp: boolean): void {
    for (const listener of this.listeners) listener.onLink(isUp)
  }

  private find(path: string): unknown {
    if (!this.things.has(path)) throw refusal(404, 'not_found', 'There is no such thing here.')
    return this.things.get(path)
  }

  private async answer<T>(method: string, path: string, more: object, work: () => T): Promise<T> {
    this.asked.push({ method, path, ...more })
    if (this.held) await this.held
    const refused = this.refusals.get(`${method} ${path}`)
    if (refused) throw refused
    return work()
  }
}

export function refusal(
  status: number,
  code: string,
  message: string,
  faults: NocProblem['faults'] = [],
  lines: NocProblem['lines'] = [],
): NocProblem {
  return { status, code, message, remedy: 'Do as the test says.', faults, lines }
}
