// An applet's form, read from its JSON Schema. `muster applet check` refuses what is outside the subset, and the engine checks
// values; what is read here is only what the form is drawn from. A schema that was never checked draws less, and does no harm.

import { isName, isValues, noValues, pointer, toValue, type Value, type Values } from '../values.ts'

interface Common {
  title: string
  description: string
  preset: Value | undefined
}
export interface ObjectField extends Common {
  kind: 'object'
  fields: { name: string; field: FormField; required: boolean }[]
}
export interface ArrayField extends Common {
  kind: 'array'
  item: FormField
  least: number
  most: number
}
export interface TextField extends Common {
  kind: 'text'
  options: string[] | null
  secret: boolean
  /** Rows of a text area; 1 is a line. */
  lines: number
  format: string
  longest: number | undefined
}
export interface NumberField extends Common {
  kind: 'number'
  integer: boolean
  options: number[] | null
  minimum: number | undefined
  maximum: number | undefined
}
export interface BooleanField extends Common {
  kind: 'boolean'
}
export type FormField = ObjectField | ArrayField | TextField | NumberField | BooleanField

const DEEPEST = 4
const MOST = 100

/** The form, or null when the applet has no settings. */
export function readForm(schema: unknown): ObjectField | null {
  let count = 0
  const read = (one: unknown, depth: number): FormField | null => {
    count += 1
    if (typeof one !== 'object' || one === null || depth > DEEPEST || count > MOST + 1) return null
    const at = (name: string): unknown => (Object.hasOwn(one, name) ? Reflect.get(one, name) : undefined)
    const text = (name: string) => (typeof at(name) === 'string' ? String(at(name)) : '')
    const number = (name: string) => {
      const value = at(name)
      return typeof value === 'number' ? value : undefined
    }
    const common: Common = {
      title: text('title'),
      description: text('description'),
      preset: presetOf(at('default')),
    }
    switch (at('type')) {
      case 'object': {
        const properties = at('properties')
        if (typeof properties !== 'object' || properties === null) return null
        const required = strings(at('required'))
        const order = strings(at('x-order'))
        const names = Object.keys(properties).filter(isName)
        const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
        const fields = names
          .sort((a, b) => place(a) - place(b))
          .flatMap((name) => {
            const field = read(Reflect.get(properties, name), depth + 1)
            return field ? [{ name, field, required: required.includes(name) }] : []
          })
        return { kind: 'object', ...common, fields }
      }
      case 'array': {
        const item = read(at('items'), depth + 1)
        if (!item || item.kind === 'array') return null
        return {
          kind: 'array',
          ...common,
          item,
          least: number('minItems') ?? 0,
          most: Math.min(number('maxItems') ?? 100, 100),
        }
      }
      case 'string': {
        const options = strings(at('enum'))
        return {
          kind: 'text',
          ...common,
          options: options.length > 0 ? options : null,
          secret: at('writeOnly') === true,
          lines: Math.min(20, Math.max(1, Math.round(number('x-lines') ?? 1))),
          format: text('format'),
          longest: number('maxLength'),
        }
      }
      case 'integer':
      case 'number': {
        const among = at('enum')
        const options = Array.isArray(among) ? among.filter((value) => typeof value === 'number') : []
        return {
          kind: 'number',
          ...common,
          integer: at('type') === 'integer',
          options: options.length > 0 ? options : null,
          minimum: number('minimum'),
          maximum: number('maximum'),
        }
      }
      case 'boolean':
        return { kind: 'boolean', ...common }
      default:
        return null
    }
  }
  const form = read(schema, 1)
  return form?.kind === 'object' && form.fields.length > 0 ? form : null
}

/** What a new item of a list begins with, by the engine's word. */
export function newItem(item: FormField): Value {
  return item.preset ?? null
}

/** Data as values of a form's fields, and what it has no field for, as JSON pointers. */
export function fitted(form: ObjectField, data: unknown): { values: Values; left: string[] } {
  const left: string[] = []
  const copy = (field: FormField, value: unknown, at: string): Value | undefined => {
    if (field.kind === 'object' && isObject(value)) {
      const values = noValues()
      const known = new Map(field.fields.map(({ name, field: inner }) => [name, inner]))
      for (const [name, inside] of Object.entries(value)) {
        const inner = known.get(name)
        const here = `${at}${pointer([name])}`
        const copied = inner && copy(inner, inside, here)
        if (copied !== undefined) values[name] = copied
        else if (!inner) left.push(here)
      }
      return values
    }
    if (field.kind === 'array' && Array.isArray(value))
      return value.map((item, i) => copy(field.item, item, `${at}/${i}`) ?? null)
    const copied = presetOf(value)
    if (copied === undefined) left.push(at)
    return copied
  }
  const values = copy(form, data, '')
  return { values: isValues(values) ? values : noValues(), left }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Values over others, name by name: what a template does not mention stays. */
export function over(below: Values, above: Values): Values {
  return Object.assign(noValues(), below, above)
}

/** Pointers of the fields that are secrets; `*` stands for any item of a list. */
export function secretsOf(form: FormField, at = ''): string[] {
  if (form.kind === 'object')
    return form.fields.flatMap(({ name, field }) => secretsOf(field, `${at}${pointer([name])}`))
  if (form.kind === 'array') return secretsOf(form.item, `${at}/*`)
  return form.kind === 'text' && form.secret ? [at] : []
}

/** JSON pointers of the fields that the values make the form show, so that each problem finds its place. */
export function pointers(form: FormField, value: Value | undefined, at = ''): string[] {
  if (form.kind === 'object') {
    const own = isValues(value) ? value : {}
    return [
      at,
      ...form.fields.flatMap(({ name, field }) => pointers(field, own[name], `${at}${pointer([name])}`)),
    ]
  }
  if (form.kind === 'array' && Array.isArray(value))
    return [at, ...value.flatMap((item, i) => pointers(form.item, item, `${at}/${i}`))]
  return [at]
}

/** Problems by the field that shows them: the nearest that there is. */
export function placed<T extends { path: string }>(
  problems: readonly T[],
  shown: readonly string[],
): Map<string, T[]> {
  const known = new Set(shown)
  const found = new Map<string, T[]>()
  for (const problem of problems) {
    let at = problem.path
    while (at !== '' && !known.has(at)) at = at.slice(0, Math.max(0, at.lastIndexOf('/')))
    found.set(at, [...(found.get(at) ?? []), problem])
  }
  return found
}

/** A copy, or nothing of what is no value. */
function presetOf(value: unknown): Value | undefined {
  if (value === undefined) return undefined
  try {
    return toValue(value)
  } catch {
    return undefined
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}
