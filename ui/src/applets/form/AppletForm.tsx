import { useLingui } from '@lingui/react/macro'
import { useId, useMemo, useState } from 'react'
import type { ApplicationProblem } from '../../bindings.ts'
import type { Value, Values } from '../values.ts'
import classes from './Fields.module.css'
import { Fields } from './Fields.tsx'
import { type ObjectField, placed, pointers } from './schema.ts'

interface Props {
  form: ObjectField
  values: Values
  /** Fields that do not have the same value on every appliance, as JSON pointers. */
  differ: ReadonlySet<string>
  problems: readonly ApplicationProblem[]
  /** Problems also of fields that nobody has touched yet. */
  showAll: boolean
  /** A text of the vendor in the administrator's language. */
  say: (source: string) => string
  onChange: (path: readonly (string | number)[], value: Value | undefined) => void
}

/** What every field of a form shares. */
export interface FormContext {
  say: (source: string) => string
  idOf: (at: string) => string
  errorOf: (at: string) => string | null
  /** Whether the appliances differ in a field. */
  differs: (at: string) => boolean
  change: (path: readonly (string | number)[], value: Value | undefined) => void
  touch: (at: string) => void
}

/** An applet's settings as fields of our own: the vendor's texts are texts, and its schema decides nothing but what is asked. */
export function AppletForm({ form, values, differ, problems, showAll, say, onChange }: Props) {
  const { t } = useLingui()
  const id = useId()
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set())
  const found = useMemo(() => placed(problems, pointers(form, values)), [problems, form, values])
  const context: FormContext = {
    say,
    idOf: (at) => `${id}${at}`,
    errorOf: (at) => {
      const here = found.get(at)
      return here && (showAll || touched.has(at))
        ? here.map(({ message }) => sentence(message)).join(' ')
        : null
    },
    differs: (at) => differ.has(at),
    change: onChange,
    touch: (at) => {
      if (!touched.has(at)) setTouched(new Set(touched).add(at))
    },
  }
  const whole = found.get('')
  return (
    <fieldset
      className={classes.form}
      aria-label={say(form.title) || t`Application settings`}
      data-testid="applet-form"
    >
      {whole && showAll ? (
        <p role="alert" className={classes.error}>
          {whole.map(({ message }) => sentence(message)).join(' ')}
        </p>
      ) : null}
      <Fields form={form} values={values} path={[]} context={context} />
    </fieldset>
  )
}

/** What the engine says of a value begins in the middle of a sentence about it. */
export function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1)
  return /[.!?]$/.test(text) ? text : `${text}.`
}
