import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, PasswordInput, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type NocProblem, type RoleAt, toNocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import type { Places } from './places.tsx'
import { RoleFields } from './RoleFields.tsx'
import { may, useFace } from './session.tsx'

interface NewProps {
  places: Places
  onDone: () => void
  onCancel: () => void
}

/** A form for somebody who is to sign in. */
export function NewOperator({ places, onDone, onCancel }: NewProps) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const isOfNoc = me.operator.roles.some((at) => at.organisation === null && at.role === 'administrator')
  const homes = [
    ...places.organisations
      .filter(({ id }) => may(me.operator, 'administrator', id))
      .map(({ id, name }) => ({ value: `${id}`, label: name })),
    ...(isOfNoc ? [{ value: '', label: t`none: of the NOC itself` }] : []),
  ]
  const [home, setHome] = useState<string | null>(null)
  const [login, setLogin] = useState('')
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [roles, setRoles] = useState<RoleAt[] | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const organisation = home ?? homes[0]?.value ?? ''
  const own = organisation === '' ? null : Number(organisation)
  const given = roles ?? [{ role: 'viewer', organisation: own, site: null } satisfies RoleAt]
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      await noc.post('/v1/operators', { organisation: own, login, name, password, roles: given })
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
      setSaving(false)
    }
  }
  return (
    <section className={page.card} aria-label={t`New operator`}>
      <div className={page.cardHead}>
        <h2>
          <Trans>New operator</Trans>
        </h2>
      </div>
      <form className={`${page.form} ${page.cardBody}`} onSubmit={submit} data-testid="operator-form">
        {problem ? <ProblemAlert problem={problem} /> : null}
        <NativeSelect
          label={t`Organisation`}
          value={organisation}
          onChange={(event) => setHome(event.currentTarget.value)}
          data={homes}
        />
        <TextInput
          label={t`Sign-in name`}
          description={t`The handle of the organisation is added, as in anna@acme.`}
          required
          withAsterisk={false}
          autoComplete="off"
          spellCheck={false}
          data-testid="new-login"
          value={login}
          onChange={(event) => setLogin(event.currentTarget.value)}
          error={faults.get('login')}
        />
        <TextInput
          label={t`Name`}
          required
          withAsterisk={false}
          autoComplete="off"
          data-testid="new-name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={faults.get('name')}
        />
        <PasswordInput
          label={t`First password`}
          description={t`At least 12 characters. They change it on their own page.`}
          required
          withAsterisk={false}
          autoComplete="new-password"
          visibilityToggleButtonProps={{ 'aria-label': t`Show the password` }}
          data-testid="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <RoleFields roles={given} places={places} onChange={setRoles} />
        <div className={page.actions}>
          <Button type="submit" loading={isSaving} data-testid="operator-save">
            <Trans>Add the operator</Trans>
          </Button>
          <Button variant="default" onClick={onCancel}>
            <Trans>Cancel</Trans>
          </Button>
        </div>
      </form>
    </section>
  )
}
