import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { type FormEvent, useCallback, useMemo, useState } from 'react'
import { type NocProblem, type Operator, type Page, type RoleAt, toNocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLiveList } from './loading.ts'
import { NewOperator } from './NewOperator.tsx'
import { type Places, usePlaces } from './places.tsx'
import { RoleFields } from './RoleFields.tsx'
import { More } from './Scaffold.tsx'
import { Sessions } from './Sessions.tsx'
import { may, useFace } from './session.tsx'
import { roleAt } from './words.ts'

const CONCERNS = kinds('operator')

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
  const list = useLiveList(load, CONCERNS)
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
          <More list={list} />
        </section>
        <SignedIn places={places} />
      </div>
    </div>
  )
}

/** Who of an organisation is signed in now. */
function SignedIn({ places }: { places: Places }) {
  const { t } = useLingui()
  const { me } = useFace()
  const own = places.organisations.filter(({ id }) => may(me.operator, 'administrator', id))
  const [chosen, setChosen] = useState('')
  const organisation = chosen || String(own[0]?.id ?? '')
  const query = useMemo(() => ({ organisation }), [organisation])
  if (organisation === '') return null
  return (
    <>
      {own.length > 1 ? (
        <NativeSelect
          className={page.form}
          label={t`Sessions of`}
          data-testid="sessions-organisation"
          value={organisation}
          onChange={(event) => setChosen(event.currentTarget.value)}
          data={own.map(({ id, name }) => ({ value: String(id), label: name }))}
        />
      ) : null}
      <Sessions title={t`Who is signed in`} query={query} isOfMany />
    </>
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
  const [isShowing, setShowing] = useState(false)
  const theirs = useMemo(() => ({ operator: operator.id }), [operator.id])
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
            onClick={() => setShowing(!isShowing)}
            aria-expanded={isShowing}
            data-testid={`sessions-${operator.login}`}
            aria-label={t`Sessions of ${operator.name}`}
          >
            <Trans>Sessions…</Trans>
          </Button>
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
      {isShowing ? (
        <div className={face.note}>
          <Sessions title={t`Where ${operator.name} is signed in`} query={theirs} />
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
