import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { Once } from './Once.tsx'
import { useFace } from './session.tsx'

const SCOPES = [
  'appliances:read',
  'appliances:write',
  'alerts:read',
  'alerts:write',
  'sites:read',
  'sites:write',
  'consoles:read',
  'consoles:write',
  'operators:read',
  'operators:write',
  'organisations:read',
  'organisations:write',
  'audit:read',
]
const DAYS = [7, 90, 366]

/** Makes an API token for oneself, and shows its secret this once. */
export function TokenForm({ onDone }: { onDone: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<string[]>(['appliances:read'])
  const [days, setDays] = useState(90)
  const [secret, setSecret] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      const made = await noc.post<{ secret: string }>('/v1/tokens', { name, scopes, days })
      setSecret(made.secret)
      setProblem(null)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
    }
  }
  if (secret)
    return (
      <Once label={t`API token`} secret={secret} onDone={onDone}>
        <Trans>
          Programs send it in the header <code>Authorization: Bearer</code>. It is shown this once; whoever
          has it may do what its scopes say.
        </Trans>
      </Once>
    )
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  return (
    <form className={page.form} onSubmit={submit} data-testid="token-form">
      {problem ? <ProblemAlert problem={problem} /> : null}
      <TextInput
        label={t`What it is for`}
        required
        withAsterisk={false}
        maxLength={64}
        data-testid="token-name"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={faults.get('name')}
      />
      <fieldset className={face.choices}>
        <legend>
          <Trans>Scopes: what it may be used for, as far as your roles go</Trans>
        </legend>
        {SCOPES.map((scope) => (
          <Checkbox
            key={scope}
            label={scope}
            checked={scopes.includes(scope)}
            onChange={(event) =>
              setScopes(
                event.currentTarget.checked ? [...scopes, scope] : scopes.filter((one) => one !== scope),
              )
            }
          />
        ))}
      </fieldset>
      <NativeSelect
        label={t`Good for`}
        value={String(days)}
        onChange={(event) => setDays(Number(event.currentTarget.value))}
        data={DAYS.map((value) => ({
          value: String(value),
          label: value === 7 ? t`one week` : value === 90 ? t`90 days` : t`366 days`,
        }))}
      />
      <div className={page.actions}>
        <Button type="submit" loading={isSaving} disabled={scopes.length === 0} data-testid="token-save">
          <Trans>Make the token</Trans>
        </Button>
        <Button variant="default" onClick={onDone}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}
