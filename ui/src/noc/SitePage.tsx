import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { IconArrowLeft } from '@tabler/icons-react'
import { type FormEvent, useCallback, useMemo, useRef, useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { type NocProblem, type SiteView, toNocProblem, type Versioned } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import {
  INHERIT,
  inheritedOf,
  isSame,
  type PolicyField,
  policyFields,
  toPolicy,
  toValues,
  type Values,
} from './policyFields.ts'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('site')

/** One site and its policy, or a new one. */
export function SitePage() {
  const { id = '' } = useParams()
  return (
    <div className={page.page}>
      <Button
        component={Link}
        to="/sites"
        variant="subtle"
        color="gray"
        ml={-10}
        mb={4}
        leftSection={<IconArrowLeft size={15} aria-hidden />}
      >
        <Trans>Sites</Trans>
      </Button>
      {id === 'new' ? <NewSite /> : <OneSite key={id} id={id} />}
    </div>
  )
}

function OneSite({ id }: { id: string }) {
  const { noc } = useFace()
  const load = useCallback(() => noc.read<SiteView>(`/v1/sites/${encodeURIComponent(id)}`), [noc, id])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  if (value) return <Editor known={value} reload={reload} />
  return (
    <>
      <h1 className={page.title}>
        <Trans>Site</Trans>
      </h1>
      {problem ? <ProblemAlert problem={problem} /> : null}
    </>
  )
}

function Editor({ known, reload }: { known: Versioned<SiteView>; reload: () => void }) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const announce = useAnnounce()
  const { organisation } = usePlaces()
  // What the form began with: somebody else's change must not slip in below what is being typed.
  const [begun, setBegun] = useState(known)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const [isSaved, setSaved] = useState(false)
  const { value: site } = begun
  const fields = useMemo(policyFields, [])
  const [values, setValues] = useState(() => toValues(fields, site.policy))
  const isDirty = !isSame(values, toValues(fields, site.policy))
  const isBehind = known.tag !== begun.tag
  const mayChange = may(me.operator, 'administrator', site.organisation, [site.id])
  if (isBehind && !isDirty && !isSaving) {
    setBegun(known)
    setValues(toValues(fields, known.value.policy))
  }

  const save = async (tag: string) => {
    setSaving(true)
    setSaved(false)
    try {
      const body = toPolicy(fields, site.policy, values)
      const saved = await noc.change<SiteView>('PUT', `/v1/sites/${site.id}`, tag, body)
      setBegun(saved)
      setValues(toValues(fields, saved.value.policy))
      setProblem(null)
      setSaved(true)
      announce(t`Saved.`)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
      reload()
    }
  }

  return (
    <>
      <header className={page.head}>
        <h1 className={page.title}>{site.policy.name}</h1>
        <span className="quiet">{organisation(site.organisation)}</span>
      </header>
      {isBehind && isDirty ? (
        <Conflict
          onTheirs={() => {
            setBegun(known)
            setValues(toValues(fields, known.value.policy))
            setProblem(null)
          }}
          onMine={() => void save(known.tag)}
        />
      ) : null}
      <PolicyForm
        fields={fields}
        values={values}
        onChange={(next) => {
          setValues(next)
          setSaved(false)
        }}
        problem={problem?.code === 'changed_meanwhile' && isBehind ? null : problem}
        isReadOnly={!mayChange}
        onSubmit={() => void save(begun.tag)}
      >
        {mayChange ? (
          <>
            <Button type="submit" loading={isSaving} disabled={!isDirty} data-testid="site-save">
              <Trans>Save</Trans>
            </Button>
            {isSaved && !isDirty ? (
              <span className="quiet" data-testid="site-saved">
                <Trans>
                  Saved. Settings in force stay as they are until an appliance is configured anew.
                </Trans>
              </span>
            ) : null}
          </>
        ) : (
          <span className="quiet">
            <Trans>Administrators of the site change this.</Trans>
          </span>
        )}
      </PolicyForm>
    </>
  )
}

/** Somebody else was faster: both ways out are said, and neither is taken unasked. */
function Conflict({ onTheirs, onMine }: { onTheirs: () => void; onMine: () => void }) {
  const { t } = useLingui()
  const problem = {
    code: 'changed_meanwhile',
    message: t`Somebody else has changed this site since you began.`,
    remedy: t`Show what they saved and enter yours again, or save yours over it.`,
  }
  return (
    <div data-testid="conflict">
      <ProblemAlert
        problem={problem}
        action={
          <div className={page.actions}>
            <Button variant="default" onClick={onTheirs} data-testid="conflict-theirs">
              <Trans>Show theirs</Trans>
            </Button>
            <Button variant="default" onClick={onMine} data-testid="conflict-mine">
              <Trans>Save mine over it</Trans>
            </Button>
          </div>
        }
      />
    </div>
  )
}

function NewSite() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const navigate = useNavigate()
  const { organisations } = usePlaces()
  const own = organisations.filter(({ id }) => may(me.operator, 'administrator', id))
  const fields = useMemo(policyFields, [])
  const [values, setValues] = useState(() => toValues(fields, null))
  const [chosen, setChosen] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const organisation = chosen || String(own[0]?.id ?? '')

  const add = async () => {
    setSaving(true)
    try {
      const body = { organisation: Number(organisation), policy: toPolicy(fields, null, values) }
      const { id } = await noc.post<SiteView>('/v1/sites', body)
      void navigate(`/sites/${id}`)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
    }
  }

  return (
    <>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>New site</Trans>
        </h1>
      </header>
      <PolicyForm
        fields={fields}
        values={values}
        onChange={setValues}
        problem={problem}
        isReadOnly={false}
        onSubmit={() => void add()}
        before={
          own.length > 1 ? (
            <NativeSelect
              label={t`Organisation`}
              value={organisation}
              onChange={(event) => setChosen(event.currentTarget.value)}
              data={own.map(({ id, name }) => ({ value: String(id), label: name }))}
            />
          ) : null
        }
      >
        <Button type="submit" loading={isSaving} disabled={organisation === ''} data-testid="site-save">
          <Trans>Add the site</Trans>
        </Button>
      </PolicyForm>
    </>
  )
}

interface FormProps {
  fields: readonly PolicyField[]
  values: Values
  onChange: (values: Values) => void
  problem: NocProblem | null
  isReadOnly: boolean
  onSubmit: () => void
  before?: React.ReactNode
  children: React.ReactNode
}

/** The values of a policy, each with what the NOC found wrong with it. */
function PolicyForm({
  fields,
  values,
  onChange,
  problem,
  isReadOnly,
  onSubmit,
  before,
  children,
}: FormProps) {
  const form = useRef<HTMLFormElement>(null)
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
    <form ref={form} className={page.form} onSubmit={submit} data-testid="policy-form" noValidate>
      {problem && !isShownAtFields ? <ProblemAlert problem={problem} /> : null}
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
      <fieldset className={face.choices} disabled={isReadOnly}>
        <legend>
          <Trans>From the organisation, not the site's own</Trans>
        </legend>
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
