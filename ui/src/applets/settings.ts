// What the administrator has filled in for the appliances of one configuration: pure, kept with the wizard's draft. An appliance
// begins with the application settings that it has or is to get, else with the applet's defaults; of several, each keeps its own
// in every field that nobody changed.

import type { AppletView, ApplicationChecked, ApplicationProblem } from '../bindings.ts'
import { fitted, type ObjectField, over, readForm, secretsOf } from './form/schema.ts'
import { isValues, noValues, pointer, sameValues, type Value, type Values, withValue } from './values.ts'

/** What one applet's form holds. */
export interface AppletSettings {
  /** Whether its settings are sent. */
  on: boolean
  /** Values that were changed, by appliance; the others have what they began with. */
  edited: ReadonlyMap<string, Values>
}

/** By the applet's name. */
export type ApplicationDraft = ReadonlyMap<string, AppletSettings>

export interface ChosenAppliance {
  uid: string
  mac: string
  model: string
  host_name: string
  /** The application settings that it has or is to get, as JSON, or empty. */
  application: string
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

/** What an appliance's form begins with. */
export interface Begun {
  values: Values
  /** The document that the values were read from, when they say all of it: unchanged values keep it to the letter. */
  text: string | null
  /** What the document has and the form has no field for, as JSON pointers. */
  left: readonly string[]
}

const read = new WeakMap<AppletView, ObjectField | null>()
const secret = new WeakMap<AppletView, ReadonlySet<string>>()
const begun = new WeakMap<AppletView, Map<string, Begun>>()
const refitted = new WeakMap<AppletView, WeakMap<Values, Values>>()

/** The form of an applet, read once; null when it has none. */
export function formOf(applet: AppletView): ObjectField | null {
  return remembered(read, applet, () => readForm(applet.form))
}

/** Which values of an appliance's document are secrets, by the applet for its model. */
export function secretsFor(applets: readonly AppletView[], model: string): ReadonlySet<string> {
  const applet = applets.find((one) => fits(one, model))
  return applet ? remembered(secret, applet, () => secretsIn(applet)) : NO_SECRETS
}

const NO_SECRETS: ReadonlySet<string> = new Set()

function secretsIn(applet: AppletView): ReadonlySet<string> {
  const form = formOf(applet)
  return new Set(form ? secretsOf(form) : [])
}

/** What a form begins with: the same document, or none, begins with the same values object. */
export function begin(applet: AppletView, application: string): Begun {
  const known = remembered(begun, applet, () => new Map())
  return remembered(known, application, () => beginWith(applet, application))
}

function beginWith(applet: AppletView, application: string): Begun {
  const form = formOf(applet)
  if (!form) return { values: noValues(), text: null, left: [] }
  const presets = fitted(form, applet.defaults).values
  const document = parsed(application)
  if (!document) return { values: presets, text: null, left: [] }
  const { values, left } = fitted(form, document)
  // A newer version may want what the appliance has never had.
  const missing = form.fields.filter(
    ({ name, required }) => required && !Object.hasOwn(values, name) && Object.hasOwn(presets, name),
  )
  for (const { name } of missing) values[name] = presets[name] as Value
  return { values, text: missing.length === 0 && left.length === 0 ? application : null, left }
}

/** Application settings as an object; null for none, which `{}` says too. */
export function parsed(application: string): Record<string, unknown> | null {
  try {
    const document: unknown = JSON.parse(application)
    const isObject = typeof document === 'object' && document !== null && !Array.isArray(document)
    return isObject && Object.keys(document).length > 0 ? (document as Record<string, unknown>) : null
  } catch {
    return null
  }
}

export function settingsOf(draft: ApplicationDraft, applet: AppletView): AppletSettings {
  return draft.get(applet.name) ?? NOTHING_EDITED
}

const NOTHING_EDITED: AppletSettings = { on: true, edited: new Map() }

/** The values of an appliance: those that were changed, as far as this version of the form has fields for them, or those it began with. */
export function valuesFor(applet: AppletView, settings: AppletSettings, one: ChosenAppliance): Values {
  const edited = settings.edited.get(one.uid)
  const form = formOf(applet)
  if (!edited || !form) return begin(applet, one.application).values
  return remembered(
    remembered(refitted, applet, () => new WeakMap()),
    edited,
    () => fitted(form, edited).values,
  )
}

/** The values of several appliances as one form. */
export interface Merged {
  values: Values
  /** Fields that do not have the same value everywhere, as JSON pointers. */
  differ: ReadonlySet<string>
}

export function merge(form: ObjectField, all: readonly Values[]): Merged {
  const distinct = [...new Set(all)]
  const differ = new Set<string>()
  const merged = (field: ObjectField, of: readonly Values[], at: string): Values => {
    const values = noValues()
    for (const { name, field: inner } of field.fields) {
      const found = of.map((one) => one[name])
      const here = `${at}${pointer([name])}`
      if (inner.kind === 'object') {
        if (found.some(isValues))
          values[name] = merged(
            inner,
            found.map((one) => (isValues(one) ? one : noValues())),
            here,
          )
        continue
      }
      const [first] = found
      if (found.some((one) => !sameValues(one, first))) differ.add(here)
      else if (first !== undefined) values[name] = first
    }
    return values
  }
  return { values: merged(form, distinct, ''), differ }
}

/** Puts other values in the place of those of some appliances. Those that had the same object have the same again. */
export function withValues(
  applet: AppletView,
  settings: AppletSettings,
  appliances: readonly ChosenAppliance[],
  change: (values: Values, uid: string) => Values,
): AppletSettings {
  const edited = new Map(settings.edited)
  for (const one of appliances) edited.set(one.uid, change(valuesFor(applet, settings, one), one.uid))
  return { ...settings, edited }
}

/** One value, for each of some appliances. */
export function withValueFor(
  applet: AppletView,
  settings: AppletSettings,
  appliances: readonly ChosenAppliance[],
  path: readonly (string | number)[],
  value: Value | undefined,
): AppletSettings {
  const changed = new Map<Values, Values>()
  return withValues(applet, settings, appliances, (values) =>
    remembered(changed, values, () => withValue(values, path, value) as Values),
  )
}

/** A template's values, over those of each. */
export function withTemplate(
  applet: AppletView,
  settings: AppletSettings,
  appliances: readonly ChosenAppliance[],
  template: Values,
): AppletSettings {
  const changed = new Map<Values, Values>()
  return withValues(applet, settings, appliances, (values) =>
    remembered(changed, values, () => over(values, template)),
  )
}

/** What an applet proposes, over what is filled in. */
export function takeProposals(
  applet: AppletView,
  settings: AppletSettings,
  appliances: readonly ChosenAppliance[],
  proposals: ReadonlyMap<string, Values>,
): AppletSettings {
  const proposed = appliances.filter(({ uid }) => proposals.has(uid))
  return withValues(applet, settings, proposed, (values, uid) =>
    over(values, proposals.get(uid) ?? noValues()),
  )
}

/** One question to the engine: values, and the appliances that they are for. */
export interface Question {
  applet: AppletView
  values: Values
  uids: string[]
  /** The document of appliances whose values are as they began: it is not written anew. */
  kept: ReadonlyMap<string, string>
}

/** Every set of values once. */
export function questions(groups: readonly Fitting[], draft: ApplicationDraft): Question[] {
  return groups.flatMap(({ applet, appliances }) => {
    const settings = settingsOf(draft, applet)
    if (!settings.on || !formOf(applet)) return []
    const asked = new Map<Values, { values: Values; uids: string[]; kept: Map<string, string> }>()
    for (const one of appliances) {
      const values = valuesFor(applet, settings, one)
      const question = remembered(asked, values, () => ({ values, uids: [], kept: new Map() }))
      question.uids.push(one.uid)
      const first = begin(applet, one.application)
      if (first.text !== null && sameValues(values, first.values)) question.kept.set(one.uid, first.text)
    }
    return [...asked.values()].map((question) => ({ applet, ...question }))
  })
}

/** A question with the engine's answer. */
export interface Answered {
  question: Question
  checked: ApplicationChecked
}

/** A problem, and on how many of the appliances that were looked at. */
export interface FoundProblem extends ApplicationProblem {
  count: number
}

/** What is wrong with the values of some appliances, each problem once. */
export function problemsOf(answered: readonly Answered[], uids: ReadonlySet<string>): FoundProblem[] {
  const found = new Map<string, FoundProblem>()
  for (const { question, checked } of answered) {
    const count = question.uids.filter((uid) => uids.has(uid)).length
    if (count === 0) continue
    for (const { path, message } of checked.problems) {
      const key = `${path}\n${message}`
      found.set(key, { path, message, count: (found.get(key)?.count ?? 0) + count })
    }
  }
  return [...found.values()]
}

/** The document of each appliance whose values are in order. */
export function documents(answered: readonly Answered[]): Map<string, string> {
  return new Map(
    answered
      .filter(({ checked }) => checked.problems.length === 0)
      .flatMap(({ question, checked }) =>
        question.uids.map((uid): [string, string] => [uid, question.kept.get(uid) ?? checked.text]),
      ),
  )
}

interface Known<K, V> {
  has(key: K): boolean
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

function remembered<K, V>(known: Known<K, V>, key: K, make: () => V): V {
  if (known.has(key)) return known.get(key) as V
  const made = make()
  known.set(key, made)
  return made
}
