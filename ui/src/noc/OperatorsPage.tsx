import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, PasswordInput, TextInput } from '@mantine/core'
import { IconPlus, IconX } from '@tabler/icons-react'
import { type FormEvent, useCallback, useState } from 'react'
import {
  type NocProblem,
  type Operator,
  type Page,
  type Role,
  type RoleAt,
  toNocProblem,
} from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { kinds, useList } from './loading.ts'
import { type Places, usePlaces } from './places.tsx'
import { may, useFace } from './session.tsx'
import { roleAt, roleName } from './words.ts'

const CONCERNS = kinds('operator')
const ROLES: readonly Role[] = ['viewer', 'operator', 'administrator']

/** People who may sign in, and what they may do where. */
export function OperatorsPage() {
  const { t } = useLingui()
  const { noc } = useFace()
  const places = usePlaces()
  const [isAdding, setAdding] = useState(false)
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Operator>>('/v1/operators', { after, limit }),
    [noc],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || CONCERNS(changes)) list.refresh()
  })
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Operators</Trans>
        </h1>
        <div className={page.grow} />
        {isAdding ? null : (
          <Button
            data-testid="operator-add"
            leftSection={<IconPlus size={15} aria-hidden />}
            onClick={() => setAdding(true)}
          >
            <Trans>Add an operator</Trans>
          </Button>
        )}
      </header>
      <div className={face.stack}>
        {isAdding ? (
          <NewOperator
            places={places}
            onDone={() => {
              setAdding(false)
              list.refresh()
            }}
            onCancel={() => setAdding(false)}
          />
        ) : null}
        {list.problem ? <ProblemAlert problem={list.problem} /> : null}
        <section className={page.card} aria-label={t`Operators`}>
          <ul className={face.list} data-testid="operators">
            {list.rows.map((operator) => (
              <OperatorRow key={operator.id} operator={operator} places={places} onDone={list.refresh} />
            ))}
          </ul>
        </section>
        {list.hasMore ? (
          <Button variant="subtle" onClick={list.more}>
            <Trans>Show more</Trans>
          </Button>
        ) : null}
      </div>
    </div>
  )
}

interface RowProps {
  operator: Operator
  places: Places
  onDone: () => void
}

function OperatorRow({ operator, places, onDone }: RowProps) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isEditing, setEditing] = useState(false)
  const path = `/v1/operators/${operator.id}`
  const isOwn = operator.id === me.operator.id
  const administers =
    operator.organisation === null
      ? me.operator.roles.some((at) => at.organisation === null && at.role === 'administrator')
      : may(me.operator, 'administrator', operator.organisation)

  const change = async (method: 'PUT' | 'PATCH', to: string, body: unknown) => {
    try {
      const { tag } = await noc.read<Operator>(path)
      await noc.change(method, to, tag, body)
      setProblem(null)
      setEditing(false)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    }
  }

  return (
    <li data-testid={`operator-${operator.login}`}>
      <span className={face.name}>{operator.name}</span>
      <span className="quiet mono">{operator.login}</span>
      {operator.disabled === null ? null : (
        <StatusBadge badge={{ tone: 'warn', icon: 'dash', text: t`Disabled` }} />
      )}
      <span className={face.wide}>
        {operator.roles.length === 0 ? (
          <span className="quiet">
            <Trans>No role</Trans>
          </span>
        ) : (
          operator.roles.map((at) => roleAt(at, places.organisation, places.site)).join(', ')
        )}
      </span>
      {administers && !isOwn ? (
        <>
          {isEditing ? null : (
            <Button
              variant="default"
              onClick={() => setEditing(true)}
              data-testid={`roles-${operator.login}`}
              aria-label={t`Change the roles of ${operator.name}`}
            >
              <Trans>Roles…</Trans>
            </Button>
          )}
          <Button
            variant="default"
            onClick={() => void change('PATCH', path, { disabled: operator.disabled === null })}
            data-testid={`disable-${operator.login}`}
            aria-label={operator.disabled === null ? t`Disable ${operator.name}` : t`Enable ${operator.name}`}
          >
            {operator.disabled === null ? <Trans>Disable</Trans> : <Trans>Enable</Trans>}
          </Button>
        </>
      ) : null}
      {isEditing ? (
        <div className={face.note}>
          <RolesForm
            initial={operator.roles}
            places={places}
            onSave={(roles) => change('PUT', `${path}/roles`, { roles })}
            onCancel={() => setEditing(false)}
          />
        </div>
      ) : null}
      {problem ? (
        <div className={face.note}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
    </li>
  )
}

interface RolesProps {
  initial: readonly RoleAt[]
  places: Places
  onSave: (roles: RoleAt[]) => Promise<void>
  onCancel: () => void
}

function RolesForm({ initial, places, onSave, onCancel }: RolesProps) {
  const [roles, setRoles] = useState<RoleAt[]>([...initial])
  const [isSaving, setSaving] = useState(false)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    await onSave(roles)
    setSaving(false)
  }
  return (
    <form className={page.form} onSubmit={submit}>
      <RoleFields roles={roles} places={places} onChange={setRoles} />
      <div className={page.actions}>
        <Button type="submit" loading={isSaving} data-testid="roles-save">
          <Trans>Save the roles</Trans>
        </Button>
        <Button variant="default" onClick={onCancel}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}

interface RoleFieldsProps {
  roles: readonly RoleAt[]
  places: Places
  onChange: (roles: RoleAt[]) => void
}

/** Roles, one a line: what, and where. */
function RoleFields({ roles, places, onChange }: RoleFieldsProps) {
  const { t } = useLingui()
  const { me } = useFace()
  const isOfNoc = me.operator.roles.some((at) => at.organisation === null && at.role === 'administrator')
  const where = [
    ...(isOfNoc ? [{ value: '', label: t`everywhere` }] : []),
    ...places.organisations.map(({ id, name }) => ({ value: `${id}`, label: name })),
    ...places.sites.map(({ id, organisation, policy }) => ({
      value: `${organisation}/${id}`,
      label: `${places.organisation(organisation)}: ${policy.name}`,
    })),
  ]
  const first = places.organisations[0]
  return (
    <>
      {roles.map((at, i) => {
        const set = (change: Partial<RoleAt>) =>
          onChange(roles.map((one, n) => (n === i ? { ...one, ...change } : one)))
        const n = i + 1
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place in the list
          <div key={i} className={page.actions}>
            <NativeSelect
              aria-label={t`Role ${n}`}
              value={at.role}
              onChange={(event) => set({ role: event.currentTarget.value as Role })}
              data={ROLES.map((role) => ({ value: role, label: roleName(role) }))}
            />
            <NativeSelect
              className={face.wide}
              aria-label={t`Where role ${n} holds`}
              value={
                at.organisation === null
                  ? ''
                  : at.site === null
                    ? `${at.organisation}`
                    : `${at.organisation}/${at.site}`
              }
              onChange={(event) => {
                const [organisation = '', site] = event.currentTarget.value.split('/')
                set({
                  organisation: organisation === '' ? null : Number(organisation),
                  site: site === undefined ? null : Number(site),
                })
              }}
              data={where}
            />
            <Button
              variant="default"
              aria-label={t`Remove role ${n}`}
              onClick={() => onChange(roles.filter((_, n) => n !== i))}
            >
              <IconX size={14} aria-hidden />
            </Button>
          </div>
        )
      })}
      <div className={page.actions}>
        <Button
          variant="default"
          disabled={!first}
          onClick={() =>
            onChange([...roles, { role: 'viewer', organisation: first?.id ?? null, site: null }])
          }
        >
          <Trans>Add a role</Trans>
        </Button>
      </div>
    </>
  )
}

interface NewProps {
  places: Places
  onDone: () => void
  onCancel: () => void
}

function NewOperator({ places, onDone, onCancel }: NewProps) {
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
