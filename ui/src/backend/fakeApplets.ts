// The applets of the simulated site: those that ship as examples, read from their folders, and one that attacks. Values are
// checked for what is missing and of the wrong type; the engine's own check is the real one.

import { documentOf } from '../applets/host/page.ts'
import type { AppletPreview, AppletView, ApplicationChecked, ApplicationProblem } from '../bindings.ts'
import { problem } from './fakeWords.ts'
import { HOSTILE } from './hostile.ts'

const FILES: Record<string, string> = import.meta.glob(
  [
    '../../../examples/applets/**/*.{json,txt,html,css,js}',
    '../../../console/src/cli/applet/skeleton/*.{json,txt,html,css,js}',
  ],
  {
    query: '?raw',
    import: 'default',
    eager: true,
  },
)
const LOGOS: Record<string, string> = import.meta.glob('../../../examples/applets/**/*.png', {
  query: '?inline',
  import: 'default',
  eager: true,
})

interface Manifest {
  name: string
  version: string
  title: string
  description: string
  models: string[]
  permissions: string[]
  form?: string
  templates?: { title: string; file: string }[]
  help?: string
  page?: { html: string; css: string; logic: string }
  branding?: { accent?: string; logo?: string }
  translations?: Record<string, string>
}

interface Options {
  applets: boolean
  hostile: boolean
  pages: string
  attack: string
  may: string
  preview: string
}

export class FakeApplets {
  private readonly options: Options
  private readonly made = new Map<string, string>()
  private all: AppletView[] | null = null
  /** Forms of what was shown, by name. */
  private readonly shown = new Map<string, unknown>()

  private generation = 0
  private readonly tell: (generation: number) => void

  /** `tell` is called when there are others. */
  constructor(options: Options, tell: (generation: number) => void) {
    this.options = options
    this.tell = tell
  }

  /** Publishes other applets, as the NOC would; for tests. */
  publish(applets: AppletView[]): void {
    this.all = applets
    this.generation += 1
    this.tell(this.generation)
  }

  async views(language: string): Promise<AppletView[]> {
    const views = await this.viewsIn(language)
    for (const { name, form } of views) this.shown.set(name, form)
    return views
  }

  private async viewsIn(language: string): Promise<AppletView[]> {
    const { applets, attack, may, hostile } = this.options
    if (this.all) return this.all
    if (attack)
      return [
        {
          ...EMPTY,
          name: attack,
          title: `Attack ${attack}`,
          hasPage: true,
          permissions: may ? may.split(',') : [],
          form: { type: 'object', properties: { note: { type: 'string', title: 'Note' } } },
        },
      ]
    if (!applets) return []
    if (hostile) return [hostileApplet()]
    const examples = ['mail-gateway', 'branch-router'].map((name) => exampleApplet(name, language))
    // In memory: a document of its own for each page, with the policy inside.
    if (!this.options.pages) for (const { name, hasPage } of examples) if (hasPage) await this.make(name)
    return examples
  }

  /** Instead of what is in the folder, for tests: what is wrong with it, or another revision of it. */
  folder: Partial<AppletPreview> = {}

  /** As if the command line named the folder of an example. */
  async previews(language: string): Promise<AppletPreview[]> {
    const name = this.options.preview
    if (!name) return []
    const applet = exampleApplet(name, language)
    this.shown.set(name, applet.form)
    if (!this.options.pages && applet.hasPage) await this.make(name)
    const languages = Object.keys(manifestOf(name).translations ?? {})
    const folder = `examples/applets/${name}`
    return [{ folder, applet, languages, revision: '1', problem: null, ...this.folder }]
  }

  page(name: string): string {
    return this.options.pages ? `${this.options.pages}/1/${name}/` : (this.made.get(name) ?? 'about:blank')
  }

  check(name: string, values: unknown): ApplicationChecked {
    const form = this.shown.get(name)
    if (form === undefined)
      throw problem('unknown_applet', `The site has no applet “${name}”.`, 'Look at the site again.')
    const text = JSON.stringify(values)
    return { problems: check(form, values, ''), text, bytes: new TextEncoder().encode(text).length }
  }

  private async make(name: string): Promise<void> {
    if (this.made.has(name)) return
    const { page } = manifestOf(name)
    if (!page) return
    const files = { html: file(name, page.html), css: file(name, page.css), logic: file(name, page.logic) }
    this.made.set(name, URL.createObjectURL(new Blob([await documentOf(files)], { type: 'text/html' })))
  }
}

const EMPTY: AppletView = {
  name: '',
  version: '1.0.0',
  title: '',
  description: '',
  models: [],
  permissions: [],
  form: null,
  defaults: {},
  templates: [],
  help: '',
  hasPage: false,
  accent: null,
  logo: null,
  texts: {},
}

/** An example as the engine would show it. */
export function exampleApplet(name: string, language = 'en'): AppletView {
  const manifest = manifestOf(name)
  const { branding, translations } = manifest
  const translation = translations?.[language] ?? translations?.[language.split('-')[0] ?? '']
  return {
    ...EMPTY,
    name,
    version: manifest.version,
    title: manifest.title,
    description: manifest.description,
    models: manifest.models,
    permissions: manifest.permissions,
    form: formOf(name),
    defaults: defaultsOf(formOf(name)) ?? {},
    templates: (manifest.templates ?? []).map((one) => ({
      title: one.title,
      values: JSON.parse(file(name, one.file)),
    })),
    help: manifest.help ? file(name, manifest.help) : '',
    hasPage: manifest.page !== undefined,
    accent: branding?.accent ?? null,
    logo: branding?.logo ? (LOGOS[path(name, branding.logo)] ?? null) : null,
    texts: translation ? JSON.parse(file(name, translation)) : {},
  }
}

/** Texts that would act if they were taken for markup, wherever an applet has texts. */
function hostileApplet(): AppletView {
  const [one = '', ...others] = HOSTILE
  const texts = [one, ...others]
  const text = (i: number) => texts[i % texts.length] ?? one
  return {
    ...EMPTY,
    name: 'hostile',
    title: text(0),
    description: text(1),
    help: texts.join('\n'),
    logo: 'data:image/svg+xml,<svg onload="window.acted=1"/>',
    accent: 'red;background:url(x)',
    templates: texts.map((title) => ({ title, values: JSON.parse('{"__proto__":{"acted":1}}') })),
    form: JSON.parse(
      JSON.stringify({
        type: 'object',
        title: text(2),
        properties: {
          plain: { type: 'string', title: text(0), description: text(1), default: text(2) },
          choice: { type: 'string', title: text(3), enum: texts },
          list: { type: 'array', title: text(4), items: { type: 'string', title: text(0) }, default: texts },
        },
      }).replace(
        '"plain"',
        '"__proto__":{"type":"string","default":"acted"},"constructor":{"type":"string"},"plain"',
      ),
    ),
    texts: JSON.parse(`{"__proto__":"acted",${JSON.stringify(text(3))}:${JSON.stringify(text(4))}}`),
  }
}

/** What the engine says that a form begins with. */
function defaultsOf(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return undefined
  if ('default' in schema) return schema.default
  if ('items' in schema && 'minItems' in schema)
    return Array.from({ length: Number(schema.minItems) }, () => defaultsOf(schema.items) ?? '')
  const properties = 'properties' in schema ? Object.entries(schema.properties ?? {}) : []
  const found = properties.flatMap(([name, sub]) => {
    const value = defaultsOf(sub)
    return value === undefined ? [] : [[name, value] as const]
  })
  return found.length > 0 ? Object.fromEntries(found) : undefined
}

/** A form as the engine gives it: `items` say what a new item begins with. */
function drawn(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema), (key, value) =>
    key === 'items' && typeof value === 'object'
      ? { ...value, default: defaultsOf(value) ?? (value.type === 'string' ? '' : null) }
      : value,
  )
}

function check(schema: unknown, value: unknown, at: string): ApplicationProblem[] {
  if (typeof schema !== 'object' || schema === null) return []
  const own = (name: string): unknown => (Object.hasOwn(schema, name) ? Reflect.get(schema, name) : undefined)
  const type = own('type')
  const wrong = (message: string): ApplicationProblem[] => [{ path: at, message }]
  if (type === 'object') {
    if (typeof value !== 'object' || value === null) return wrong('it must be of type object')
    const required = Array.isArray(own('required')) ? (own('required') as unknown[]) : []
    const missing = required
      .filter((name) => typeof name === 'string' && !Object.hasOwn(value, name))
      .map((name) => ({ path: `${at}/${name}`, message: 'it is missing: fill it in' }))
    const properties = Object.entries(own('properties') ?? {})
    return [
      ...missing,
      ...properties.flatMap(([name, sub]) =>
        Object.hasOwn(value, name) ? check(sub, Reflect.get(value, name), `${at}/${name}`) : [],
      ),
    ]
  }
  if (type === 'array') {
    if (!Array.isArray(value)) return wrong('it must be of type array')
    const least = Number(own('minItems') ?? 0)
    if (value.length < least) return wrong(`there are too few: ${least} at least`)
    return value.flatMap((item, i) => check(own('items'), item, `${at}/${i}`))
  }
  if (type === 'string') {
    if (typeof value !== 'string') return wrong('it must be of type string')
    if (own('format') === 'hostname' && !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(value))
      return wrong('it is not a host name: use labels like mail.example.net')
    const pattern = own('pattern')
    if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value))
      return wrong(`it does not have the form that is asked for: ${pattern}`)
    return []
  }
  if (type === 'boolean') return typeof value === 'boolean' ? [] : wrong('it must be of type boolean')
  if (typeof value !== 'number') return wrong(`it must be of type ${type}`)
  const [minimum, maximum] = [own('minimum'), own('maximum')]
  if (typeof minimum === 'number' && value < minimum) return wrong(`it is too small: ${minimum} at least`)
  if (typeof maximum === 'number' && value > maximum) return wrong(`it is too large: ${maximum} at most`)
  return []
}

function manifestOf(name: string): Manifest {
  return JSON.parse(file(name, 'applet.json'))
}

function formOf(name: string): unknown {
  const text = FILES[path(name, 'form.json')]
  return text === undefined ? { type: 'object' } : drawn(JSON.parse(text))
}

function file(name: string, inside: string): string {
  return FILES[path(name, inside)] ?? ''
}

/** What `muster applet new` calls its files when nobody says otherwise; there they lie without folders. */
const SKELETON = 'my-applet'

function path(name: string, inside: string): string {
  if (name === SKELETON)
    return `../../../console/src/cli/applet/skeleton/${inside.slice(inside.lastIndexOf('/') + 1)}`
  return `../../../examples/applets/${name}/${inside}`
}
