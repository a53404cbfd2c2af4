import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useNavigate, useSearchParams } from 'react-router'
import { type Draft, type NocProblem, toNocProblem } from '../backend/noc.ts'
import { fieldName } from '../components/fields.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { isListed, LISTED, type Listed, NO_LIST } from '../domain/lists.ts'
import type { Field } from '../domain/settings.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { usePlaces } from './places.tsx'
import { may, useFace } from './session.tsx'

/** What several appliances may have alike. */
const COMMON: readonly (Field | keyof Listed)[] = ['domain', 'gateway', 'dns1', 'dns2', ...LISTED]
/** Stands for "none", which an empty input cannot: that is "as it is". */
const NONE = '-'

/** A form for a draft; nothing is changed by it. */
export function NewDraft() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const navigate = useNavigate()
  const [query] = useSearchParams()
  const { sites } = usePlaces()
  const own = sites.filter(({ id, organisation }) => may(me.operator, 'operator', organisation, [id]))
  const [picked, setPicked] = useState<readonly number[] | null>(null)
  const [title, setTitle] = useState('')
  const [kind, setKind] = useState<'policy' | 'edit'>('policy')
  const [values, setValues] = useState<Record<string, string>>({})
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isMaking, setMaking] = useState(false)
  // Who works at one site finds it chosen.
  const asked = Number(query.get('site') ?? (own.length === 1 ? own[0]?.id : Number.NaN))
  const chosen = picked ?? own.filter(({ id }) => id === asked).map(({ id }) => id)
  // All of one organisation: the first that is chosen says which.
  const organisation = own.find(({ id }) => id === chosen[0])?.organisation

  const make = async (event: FormEvent) => {
    event.preventDefault()
    const said = COMMON.map((field) => [field, (values[field] ?? '').trim()] as const)
    const none = (field: string) => (isListed(field) ? NO_LIST : '')
    const edit = Object.fromEntries(
      said
        .filter(([, value]) => value !== '')
        .map(([field, value]) => [field, value === NONE ? none(field) : value]),
    )
    const changes = kind === 'policy' ? { policy: {} } : { edit: { edit } }
    setMaking(true)
    try {
      const { id } = await noc.post<Draft>('/v1/drafts', { sites: chosen, title: title.trim(), changes })
      void navigate(`/drafts/${id}`)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setMaking(false)
    }
  }

  return (
    <>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>New draft</Trans>
        </h1>
      </header>
      <form className={page.form} onSubmit={make} noValidate data-testid="draft-form">
        {problem ? <ProblemAlert problem={problem} /> : null}
        <fieldset className={face.choices} data-testid="draft-sites">
          <legend>
            <Trans>Sites</Trans>
          </legend>
          {own.map((one) => (
            <Checkbox
              key={one.id}
              label={String(one.policy.name)}
              data-testid={`draft-site-${one.id}`}
              disabled={organisation !== undefined && one.organisation !== organisation}
              checked={chosen.includes(one.id)}
              onChange={(event) =>
                setPicked(
                  event.currentTarget.checked ? [...chosen, one.id] : chosen.filter((id) => id !== one.id),
                )
              }
            />
          ))}
        </fieldset>
        <TextInput
          label={t`What it is for`}
          description={t`Kept with every appliance's versions.`}
          data-testid="draft-title"
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
        />
        <NativeSelect
          label={t`Their configured appliances get`}
          data-testid="draft-kind"
          value={kind}
          onChange={(event) => setKind(event.currentTarget.value as 'policy' | 'edit')}
          data={[
            { value: 'policy', label: t`what the policy of their site says now` },
            { value: 'edit', label: t`these values` },
          ]}
        />
        {kind === 'edit' ? (
          <div className={page.pair}>
            {COMMON.map((field) => (
              <TextInput
                key={field}
                label={fieldName(field)}
                description={field === 'domain' ? t`Empty: as it is.` : t`Empty: as it is. ${NONE} for none.`}
                spellCheck={false}
                data-testid={`draft-${field}`}
                value={values[field] ?? ''}
                onChange={(event) => setValues({ ...values, [field]: event.currentTarget.value })}
              />
            ))}
          </div>
        ) : null}
        <div className={page.actions}>
          <Button type="submit" loading={isMaking} disabled={chosen.length === 0} data-testid="draft-make">
            <Trans>Show what it would change</Trans>
          </Button>
          <span className="quiet">
            <Trans>Nothing is changed before you apply it.</Trans>
          </span>
        </div>
      </form>
    </>
  )
}
