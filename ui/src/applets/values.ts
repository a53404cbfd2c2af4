// Values of an applet's form: plain data, built so that no name in it means anything to JavaScript.

export type Value = string | number | boolean | null | Value[] | Values
export interface Values {
  [name: string]: Value
}

/** Names that would reach an object's prototype if they were assigned. No form has them, and no values either. */
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const DEEPEST = 8
const MOST = 4000

/** Why data is not values. */
export class NotValues extends Error {}

export function isName(name: string): boolean {
  return !FORBIDDEN.has(name)
}

export function isValues(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object without a prototype: `in` and reading find only what was put in. */
export function noValues(): Values {
  return Object.create(null) as Values
}

/** A copy of anything that came from elsewhere, made of values alone. Throws `NotValues`. */
export function toValues(data: unknown): Values {
  const copied = toValue(data)
  if (!isValues(copied)) throw new NotValues('The values are not an object.')
  return copied
}

/** As `toValues`, for any value. */
export function toValue(data: unknown): Value {
  let count = 0
  const copy = (one: unknown, depth: number): Value => {
    count += 1
    if (count > MOST) throw new NotValues(`There are more than ${MOST} values.`)
    if (depth > DEEPEST) throw new NotValues(`The values are nested more than ${DEEPEST} deep.`)
    if (one === null || typeof one === 'string' || typeof one === 'boolean') return one
    if (typeof one === 'number') {
      if (!Number.isFinite(one)) throw new NotValues('A number is not finite.')
      return one
    }
    if (Array.isArray(one)) return one.map((item) => copy(item, depth + 1))
    if (typeof one !== 'object') throw new NotValues(`A value is a ${typeof one}.`)
    const copied = noValues()
    for (const [name, value] of Object.entries(one)) {
      if (!isName(name)) throw new NotValues(`The name “${name}” is not allowed.`)
      copied[name] = copy(value, depth + 1)
    }
    return copied
  }
  return copy(data, 1)
}

/** Values with one changed, the rest shared. `undefined` takes it away. */
export function withValue(
  values: Value | undefined,
  path: readonly (string | number)[],
  value: Value | undefined,
): Value {
  const [step, ...rest] = path
  if (step === undefined) return value ?? null
  if (typeof step === 'number') {
    const items = Array.isArray(values) ? [...values] : []
    items[step] = withValue(items[step], rest, value)
    return items
  }
  if (!isName(step)) throw new NotValues(`The name “${step}” is not allowed.`)
  const copied = Object.assign(noValues(), isValues(values) ? values : {})
  if (rest.length === 0 && value === undefined) delete copied[step]
  else copied[step] = withValue(copied[step], rest, value)
  return copied
}

/** What stands at a path. */
export function valueAt(values: Value | undefined, path: readonly (string | number)[]): Value | undefined {
  let at: Value | undefined = values
  for (const step of path) {
    if (Array.isArray(at) && typeof step === 'number') at = at[step]
    else if (isValues(at) && typeof step === 'string' && Object.hasOwn(at, step)) at = at[step]
    else return undefined
  }
  return at
}

/** RFC 6901. */
export function pointer(path: readonly (string | number)[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** The same values, whatever the order of names. */
export function sameValues(one: Value | undefined, other: Value | undefined): boolean {
  return canonical(one) === canonical(other)
}

function canonical(value: Value | undefined): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isValues(value)) return JSON.stringify(value ?? null)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`
}
