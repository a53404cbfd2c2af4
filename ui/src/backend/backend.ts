// The one interface between the screens and whatever does the work: the engine of the desktop app, or a
// simulation. It speaks of the domain, never of an operating system.

import type {
  AppletView,
  ApplicationChecked,
  BeatView,
  CellError,
  Chosen,
  EditedRow,
  Event,
  ImportReport,
  PlanView,
  PracticeKnobs,
  ProblemView,
  SiteSetup,
  StartView,
} from '../bindings.ts'
import type { Desk } from './desk.ts'

/** Every promise rejects with a `ProblemView`, never with anything else. */
export interface Backend {
  startState(): Promise<StartView>
  /** Batches of events, a replay of everything first. Returns how to stop listening. */
  subscribe(listener: (events: Event[]) => void): Promise<() => void>
  localSetupDefaults(): Promise<SiteSetup>
  chooseThisComputer(setup: SiteSetup): Promise<void>
  joinNoc(invite: string): Promise<void>
  discover(): Promise<void>
  stopDiscovery(): Promise<void>
  plan(site: number, chosen: Chosen[]): Promise<PlanView>
  check(site: number, rows: EditedRow[]): Promise<CellError[]>
  /** Answers the number of the new job. */
  configure(site: number, rows: EditedRow[]): Promise<number>
  cancelJob(id: number): Promise<void>
  retryJob(id: number, uids: string[]): Promise<void>
  /** Asks where to save; answers the path, or null when the administrator changed their mind. */
  exportJob(id: number): Promise<string | null>
  /** Beats accepted at or after `since` (Unix seconds), oldest first. */
  /** Says that an alert was seen, and what there is to say of it. */
  acknowledge(alert: number, note: string): Promise<void>
  beats(uid: string, since: number): Promise<BeatView[]>
  importManifest(csv: string): Promise<ImportReport>
  setKnobs(knobs: PracticeKnobs): Promise<void>
  /** The applets of a site, with their texts in a language, as `de-AT`; English where they have none. */
  applets(site: number, language: string): Promise<AppletView[]>
  /** What is wrong with values of an applet's form, and the document that a grant would carry. */
  checkApplication(site: number, applet: string, values: unknown): Promise<ApplicationChecked>
  /** Where the page of an applet is, for a frame. */
  appletPage(site: number, name: string, version: string): string
  getPreference(key: string): Promise<string | null>
  setPreference(key: string, value: string): Promise<void>
  /** What only a desktop has. */
  readonly desk?: Desk
}

/** Reads what a promise rejected with. Anything unexpected becomes a problem too, so no failure is silent. */
export function toProblem(reason: unknown): ProblemView {
  if (typeof reason === 'object' && reason !== null && 'code' in reason && 'message' in reason) {
    const { code, message } = reason
    const remedy = 'remedy' in reason ? reason.remedy : ''
    return { code: String(code), message: String(message), remedy: String(remedy) }
  }
  const message = reason instanceof Error ? reason.message : String(reason)
  return { code: 'unexpected', message, remedy: '' }
}
