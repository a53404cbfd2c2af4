import { Trans, useLingui } from '@lingui/react/macro'
import { Checkbox, NativeSelect, TextInput } from '@mantine/core'
import type { FormEvent, ReactNode } from 'react'
import type { NocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { INHERIT, inheritedOf, type PolicyField, type Values } from './policyFields.ts'
import { Refused } from './Refused.tsx'

interface FormProps {
  fields: readonly PolicyField[]
  values: Values
  onChange: (values: Values) => void
  problem: NocProblem | null
  isReadOnly: boolean
  onSubmit: () => void
  before?: ReactNode
  /** What is said beside the choice of values that are the organisation's. */
  above?: ReactNode
  children: ReactNode
}

/** The values of a site's policy, each with what the NOC found wrong with it. */
export function PolicyForm({
  fields,
  values,
  onChange,
  problem,
  isReadOnly,
  onSubmit,
  before,
  above,
  children,
}: FormProps) {
  const { t } = useLingui()
  const inherited = inheritedOf(values)
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  // A fault of a value that the form does not show still has to be said.
  const isShownAtFields = faults.size > 0 && [...faults.keys()].every((name) => name in values)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onSubmit()
  }
  return (
    <form className={page.form} onSubmit={submit} data-testid="policy-form" noValidate>
      {problem && !isShownAtFields ? <Refused problem={problem} /> : null}
      {before}
      {fields.map((field) => {
        const common = {
          label: field.label,
          description: inherited.includes(field.name) ? t`From the organisation.` : field.hint,
          value: values[field.name] ?? '',
          error: faults.get(field.name),
          'data-testid': `field-${field.name}`,
          required: field.isRequired ?? false,
          withAsterisk: false,
        }
        const isFixed = isReadOnly || inherited.includes(field.name)
        const set = (value: string) => onChange({ ...values, [field.name]: value })
        return field.kind === 'choice' ? (
          <NativeSelect
            key={field.name}
            {...common}
            disabled={isFixed}
            data={field.choices ?? []}
            onChange={(event) => set(event.currentTarget.value)}
          />
        ) : (
          <TextInput
            key={field.name}
            {...common}
            readOnly={isFixed}
            inputMode={field.kind === 'number' ? 'numeric' : 'text'}
            spellCheck={false}
            onChange={(event) => set(event.currentTarget.value)}
          />
        )
      })}
      <fieldset className={`${face.choices} ${face.whole}`} disabled={isReadOnly}>
        <legend>
          <Trans>From the organisation, not the site's own</Trans>
        </legend>
        {above}
        {fields
          .filter((field) => field.isInheritable)
          .map(({ name, label }) => (
            <Checkbox
              key={name}
              label={label}
              data-testid={`inherit-${name}`}
              checked={inherited.includes(name)}
              onChange={(event) => {
                const others = inherited.filter((one) => one !== name)
                const next = event.currentTarget.checked ? [...others, name] : others
                onChange({ ...values, [INHERIT]: next.sort().join() })
              }}
            />
          ))}
      </fieldset>
      {isShownAtFields ? (
        <ProblemAlert
          problem={{ ...(problem as NocProblem), message: (problem as NocProblem).remedy, remedy: ' ' }}
        />
      ) : null}
      <div className={page.actions}>{children}</div>
    </form>
  )
}
