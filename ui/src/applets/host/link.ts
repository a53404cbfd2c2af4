// The window's end of the line to one applet: reads, checks permissions and rates, answers, and ends the applet that does not
// keep to the rules or does not answer any more. Without a frame of its own, so that every rule is tested without one.

import type { ApplicationProblem } from '../../bindings.ts'
import type { Values } from '../values.ts'
import { type Ask, type EndReason, Meter, readMessage } from './messages.ts'

const PING_EVERY_MS = 1000
export const SILENT_AFTER_MS = 5000
export const START_WITHIN_MS = 10_000
/** Messages with an error in them until that is taken for an attack. */
const MOST_WRONG = 20
/** Validations at once; each is a question to the engine. */
const MOST_BUSY = 4

/** What an applet may ask for. Answers must be data that JSON can hold. */
export interface Answers {
  appliances(): unknown[]
  /** Null when it is not one of those chosen. */
  parameters(uid: string): unknown
  /** False when it is not one of those chosen. */
  propose(uid: string, values: Values): boolean
  validate(values: Values): Promise<ApplicationProblem[]>
  say(text: string): void
}

export interface Hello {
  language: string
  texts: [source: string, text: string][]
  scheme: 'light' | 'dark'
  accent: string | null
}

export interface Watcher {
  started(): void
  height(height: number): void
  ended(reason: EndReason, message: string): void
}

const NEEDS: Record<Ask['ask'], string | null> = {
  appliances: 'appliances',
  parameters: 'parameters',
  propose: 'propose',
  say: 'say',
  // Tells an applet nothing but what its own form says.
  validate: null,
}

export class AppletLink {
  private readonly port: Pick<MessagePort, 'postMessage' | 'close'>
  private readonly permissions: ReadonlySet<string>
  private readonly answers: Answers
  private readonly watcher: Watcher
  private readonly meter: Meter
  private readonly begun: number
  private started = false
  private isOver = false
  private wrong = 0
  private busy = 0
  private ping = 0
  private unanswered: number | null = null
  private lastTick: number

  constructor(
    port: Pick<MessagePort, 'postMessage' | 'close'>,
    permissions: readonly string[],
    answers: Answers,
    watcher: Watcher,
    now: number,
  ) {
    this.port = port
    this.permissions = new Set(permissions)
    this.answers = answers
    this.watcher = watcher
    // A bridge passes on at most 120 a second; an applet that keeps to the prelude sends 20.
    this.meter = new Meter(160, 40, now)
    this.begun = now
    this.lastTick = now
  }

  hello(hello: Hello): void {
    this.tell({ hello })
  }

  look(look: Pick<Hello, 'scheme' | 'accent'>): void {
    this.tell({ look })
  }

  /** Other appliances were chosen, or one of them has other values. */
  changed(): void {
    if (this.started) this.tell({ changed: true })
  }

  /** One message, `data` as it came. */
  receive(data: unknown, now: number): void {
    if (this.isOver) return
    if (!this.meter.take(now)) {
      this.end('flood', '')
      return
    }
    const message = readMessage(data)
    switch (message.kind) {
      case 'started':
        if (this.started) return
        this.started = true
        this.watcher.started()
        return
      case 'height':
        this.watcher.height(Math.min(1200, Math.max(40, Math.round(message.height))))
        return
      case 'ended':
        this.end(message.reason, message.message)
        return
      case 'pong':
        if (message.number === this.ping) this.unanswered = null
        return
      case 'oversized':
        this.end('oversized', '')
        return
      case 'wrong':
        this.countWrong()
        return
      case 'refused':
        this.refuse(message.id, 'invalid', message.message)
        this.countWrong()
        return
      case 'ask':
        void this.answer(message.id, message.ask)
    }
  }

  /** To be called about once a second. */
  tick(now: number): void {
    if (this.isOver) return
    // Nobody can answer while the computer sleeps or the window is stopped.
    const stopped = now - this.lastTick > 3 * PING_EVERY_MS
    this.lastTick = now
    if (!this.started) {
      if (now - this.begun > START_WITHIN_MS && !stopped) this.end('start', '')
      return
    }
    if (this.unanswered !== null && stopped) this.unanswered = now
    if (this.unanswered !== null && now - this.unanswered > SILENT_AFTER_MS) {
      this.end('silent', '')
      return
    }
    if (this.unanswered !== null) return
    this.ping += 1
    this.unanswered = now
    this.tell({ ping: this.ping })
  }

  /** Ends it; said to the watcher, once. */
  end(reason: EndReason, message: string): void {
    if (this.isOver) return
    this.close()
    this.watcher.ended(reason, message)
  }

  /** Ends it without a word: the screen is left. */
  close(): void {
    this.isOver = true
    this.port.close()
  }

  private async answer(id: number, ask: Ask): Promise<void> {
    const needed = NEEDS[ask.ask]
    if (needed !== null && !this.permissions.has(needed)) {
      this.refuse(id, 'not_permitted', `applet.json does not ask for the permission “${needed}”.`)
      return
    }
    switch (ask.ask) {
      case 'appliances':
        this.reply(id, this.answers.appliances())
        return
      case 'parameters': {
        const found = this.answers.parameters(ask.uid)
        if (found === null) this.refuse(id, 'unknown_appliance', 'It is not one of those chosen.')
        else this.reply(id, found)
        return
      }
      case 'propose':
        if (this.answers.propose(ask.uid, ask.values)) this.reply(id, { shown: true })
        else this.refuse(id, 'unknown_appliance', 'It is not one of those chosen.')
        return
      case 'say':
        this.answers.say(ask.text)
        this.reply(id, null)
        return
      case 'validate':
        await this.validate(id, ask.values)
    }
  }

  private async validate(id: number, values: Values): Promise<void> {
    if (this.busy >= MOST_BUSY) {
      this.refuse(id, 'busy', 'Other values are being checked: wait for the answer.')
      return
    }
    this.busy += 1
    try {
      this.reply(id, await this.answers.validate(values))
    } catch {
      // What went wrong between the window and the engine is not the applet's to know.
      this.refuse(id, 'failed', 'The values could not be checked.')
    }
    this.busy -= 1
  }

  private countWrong(): void {
    this.wrong += 1
    if (this.wrong > MOST_WRONG) this.end('message', '')
  }

  private reply(id: number, answer: unknown): void {
    this.tell({ id, answer })
  }

  private refuse(id: number, code: string, message: string): void {
    this.tell({ id, error: { code, message } })
  }

  private tell(message: unknown): void {
    if (!this.isOver) this.port.postMessage(JSON.stringify(message))
  }
}
