import { Checkbox, NativeSelect, TextInput } from '@mantine/core'
import type { PolicyValues } from '../backend/noc.ts'
import face from './face.module.css'
import type { PolicyField } from './policyFields.ts'

interface Props {
  fields: readonly PolicyField[]
  values: PolicyValues
  onChange: (values: PolicyValues) => void
  isReadOnly: boolean
  /** What counts where nothing is said. */
  unsaid: string
  testid: string
}

/** The values that one place says something about, and those that it leaves to the place above. */
export function SaidValues({ fields, values, onChange, isReadOnly, unsaid, testid }: Props) {
  return (
    <div>
      {fields.map((field) => {
        const value = values[field.name]
        const set = (text: string) => onChange({ ...values, [field.name]: toSaid(field, text) })
        const common = {
          'aria-label': field.label,
          'data-testid': `${testid}-${field.name}`,
          value: String(value ?? ''),
        }
        return (
          <div key={field.name} className={face.said}>
            <Checkbox
              label={field.label}
              disabled={isReadOnly}
              data-testid={`${testid}-say-${field.name}`}
              checked={value !== undefined}
              onChange={(event) => {
                const { [field.name]: _, ...others } = values
                onChange(
                  event.currentTarget.checked
                    ? { ...others, [field.name]: toSaid(field, field.initial) }
                    : others,
                )
              }}
            />
            {value === undefined ? (
              <span className="quiet">{unsaid}</span>
            ) : field.kind === 'choice' ? (
              <NativeSelect
                {...common}
                disabled={isReadOnly}
                data={field.choices ?? []}
                onChange={(event) => set(event.currentTarget.value)}
              />
            ) : (
              <TextInput
                {...common}
                readOnly={isReadOnly}
                spellCheck={false}
                inputMode={field.kind === 'number' ? 'numeric' : 'text'}
                onChange={(event) => set(event.currentTarget.value)}
              />
            )}
          </div>
        )
      })}
    </div>
  )
}

/** What is no number is sent as none that fits, so that the NOC says what would. */
function toSaid({ kind }: PolicyField, text: string): string | number {
  if (kind !== 'number') return text
  return /^\d{1,9}$/.test(text.trim()) ? Number(text) : 0
}
