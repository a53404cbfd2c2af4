import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect } from '@mantine/core'
import { useMemo, useState } from 'react'
import { useNavigate } from 'react-router'
import { type NocProblem, type SiteView, toNocProblem } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import { PolicyForm } from './PolicyForm.tsx'
import { usePlaces } from './places.tsx'
import { policyFields, toPolicy, toValues } from './policyFields.ts'
import { BackLink } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

/** A site that is not there yet. */
export function NewSitePage() {
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
    <div className={page.page}>
      <BackLink to="/sites">
        <Trans>Sites</Trans>
      </BackLink>
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
    </div>
  )
}
