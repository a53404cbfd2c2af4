// The simulated desktop: it keeps what is set and shows nothing.

import type { CheckedView, DoNotDisturb, NotificationSettings, NotificationState } from '../bindings.ts'
import type { Desk } from './desk.ts'
import type { FakeApplets } from './fakeApplets.ts'

export class FakeDesk implements Desk {
  state: NotificationState = {
    settings: {
      do_not_disturb: { kind: 'off' },
      quiet_hours: null,
      muted_sites: [],
      muted_kinds: [],
      muted_models: [],
      sound: false,
    },
    note: null,
    quiet: false,
    quiet_until: null,
    sound: 'service',
  }

  async notifications() {
    return structuredClone(this.state)
  }

  async setNotifications(settings: NotificationSettings) {
    const { do_not_disturb } = this.state.settings
    this.state = { ...this.state, settings: { ...structuredClone(settings), do_not_disturb }, note: null }
  }

  async doNotDisturb(setting: DoNotDisturb) {
    this.state = {
      ...this.state,
      settings: { ...this.state.settings, do_not_disturb: setting },
      quiet: setting.kind !== 'off',
      quiet_until: setting.kind === 'until' ? setting.at : null,
    }
  }

  /** What the pop-up had opened, and whether it was closed. */
  opened: (string | null)[] = []
  closed = 0

  private readonly silenced: (alert: number, until: number) => void
  private readonly vendor: FakeApplets

  constructor(vendor: FakeApplets, silenced: (alert: number, until: number) => void) {
    this.vendor = vendor
    this.silenced = silenced
  }

  async silence(alert: number, seconds: number) {
    this.silenced(alert, Math.floor(Date.now() / 1000) + seconds)
  }

  async checkNow(): Promise<CheckedView> {
    return {
      name: 'mail-001',
      heard_at: ['192.0.2.9%eth0'],
      problem: null,
      connected: true,
      health: 'silent',
    }
  }

  async openWindow(uid: string | null) {
    this.opened.push(uid)
  }

  async closeSummary() {
    this.closed += 1
  }

  async appletPreviews(language: string) {
    return this.vendor.previews(language)
  }

  async checkPreview(applet: string, values: unknown) {
    return this.vendor.check(applet, values)
  }
}
