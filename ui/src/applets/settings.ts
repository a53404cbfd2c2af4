// What the administrator has filled in for the appliances of one configuration: pure, kept with the wizard's draft.

import type { AppletView, ApplicationChecked } from '../bindings.ts'
import { over, presets, readForm } from './form/schema.ts'
import { noValues, sameValues, type Values } from './values.ts'

/** What one applet's form holds. */
export interface AppletSettings {
  /** Whether its settings are sent. */
  on: boolean
  /** For all appliances that have none of their own. */
  all: Values
  /** Appliances with values of their own. */
  own: ReadonlyMap<string, Values>
}

/** By the applet's name. */
export type ApplicationDraft = ReadonlyMap<string, AppletSettings>

export interface ChosenAppliance {
  uid: string
  mac: string
  model: string
  host_name: string
}

/** An applet and those of the chosen appliances that it is for. */
export interface Fitting {
  applet: AppletView
  appliances: ChosenAppliance[]
}

/** Whether an applet is for a model; a `*` at the end stands for any rest. */
export function fits(applet: AppletView, model: string): boolean {
  return (
    applet.models.length === 0 ||
    applet.models.some((one) => (one.endsWith('*') ? model.startsWith(one.slice(0, -1)) : model === one))
  )
}

/** Each appliance with the first applet that is for its model; an applet that fits none is left out. */
export function fitting(applets: readonly AppletView[], appliances: readonly ChosenAppliance[]): Fitting[] {
  const groups = new Map<AppletView, ChosenAppliance[]>()
  for (const appliance of appliances) {
    const applet = applets.find((one) => fits(one, appliance.model))
    if (applet) groups.set(applet, [...(groups.get(applet) ?? []), appliance])
  }
  return applets.flatMap((applet) => {
    const found = groups.get(applet)
    return found ? [{ applet, appliances: found }] : []
  })
}

/** What a form begins with. */
export function begin(applet: AppletView): AppletSettings {
  const form = readForm(applet.form)
  return { on: true, all: form ? presets(form) : noValues(), own: new Map() }
}

export function settingsOf(draft: ApplicationDraft, applet: AppletView): AppletSettings {
  return draft.get(applet.name) ?? begin(applet)
}

export function valuesFor(settings: AppletSettings, uid: string): Values {
  return settings.own.get(uid) ?? settings.all
}

/** Puts values where they are edited: those of one appliance, or those of all. */
export function withValuesFor(settings: AppletSettings, uid: string | null, values: Values): AppletSettings {
  if (uid === null) return { ...settings, all: values }
  const own = new Map(settings.own)
  // Edited back to those of all, they are those of all again.
  if (sameValues(values, settings.all)) own.delete(uid)
  else own.set(uid, values)
  return { ...settings, own }
}

/** What an applet proposes, over what is filled in; the same for everybody goes to all. */
export function takeProposals(
  settings: AppletSettings,
  appliances: readonly ChosenAppliance[],
  proposals: ReadonlyMap<string, Values>,
): AppletSettings {
  const taken = appliances.flatMap(({ uid }) => {
    const proposed = proposals.get(uid)
    return proposed ? [{ uid, values: over(valuesFor(settings, uid), proposed) }] : []
  })
  const [first] = taken
  if (
    first &&
    taken.length === appliances.length &&
    taken.every(({ values }) => sameValues(values, first.values))
  )
    return { ...settings, all: first.values, own: new Map() }
  return taken.reduce((changed, { uid, values }) => withValuesFor(changed, uid, values), settings)
}

/** One question to the engine: values, and the appliances that they are for. */
export interface Question {
  applet: AppletView
  values: Values
  uids: string[]
  /** Null for the values of all. */
  owner: string | null
}

/** Every set of values once. */
export function questions(groups: readonly Fitting[], draft: ApplicationDraft): Question[] {
  return groups.flatMap(({ applet, appliances }) => {
    const settings = settingsOf(draft, applet)
    if (!settings.on || !readForm(applet.form)) return []
    const uids = appliances.map(({ uid }) => uid)
    const shared = uids.filter((uid) => !settings.own.has(uid))
    return [
      ...(shared.length > 0 ? [{ applet, values: settings.all, uids: shared, owner: null }] : []),
      ...uids.flatMap((uid) => {
        const values = settings.own.get(uid)
        return values ? [{ applet, values, uids: [uid], owner: uid }] : []
      }),
    ]
  })
}

/** A question with the engine's answer. */
export interface Answered {
  question: Question
  checked: ApplicationChecked
}

/** The document of each appliance whose values are in order. */
export function documents(answered: readonly Answered[]): Map<string, string> {
  return new Map(
    answered
      .filter(({ checked }) => checked.problems.length === 0)
      .flatMap(({ question, checked }) => question.uids.map((uid): [string, string] => [uid, checked.text])),
  )
}
