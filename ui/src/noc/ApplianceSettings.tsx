import { Trans, useLingui } from '@lingui/react/macro'
import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import {
  type Appliance,
  type NocProblem,
  type Settings,
  toNocProblem,
  type Versioned,
} from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ApplicationDocument } from '../components/ApplicationDocument.tsx'
import { fieldName } from '../components/fields.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { isListed, LISTED } from '../domain/lists.ts'
import { FIELDS } from '../domain/settings.ts'
import page from '../pages/page.module.css'
import { type Fact, Facts } from './Facts.tsx'
import { Card } from './Scaffold.tsx'
import { useFace } from './session.tsx'

const FORM = [...FIELDS, ...LISTED]

interface Shown {
  settings: Settings | null
}

/** What an appliance is set to, and a form for something else. */
export function ApplianceSettings({ row, mayChange }: { row: Appliance; mayChange: boolean }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const path = `/v1/appliances/${encodeURIComponent(row.uid)}/settings`
  const [begun, setBegun] = useState<Versioned<Shown> | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const begin = () => {
    setProblem(null)
    noc.read<Shown>(path).then(setBegun, (reason: unknown) => setProblem(toNocProblem(reason)))
  }
  const { settings } = row
  const known = begun?.value.settings
  return (
    <Card
      title={t`Settings`}
      tools={
        mayChange && !begun ? (
          <Button size="compact-xs" variant="default" onClick={begin} data-testid="settings-change">
            <Trans>Change…</Trans>
          </Button>
        ) : null
      }
    >
      {problem ? <ProblemAlert problem={problem} /> : null}
      {begun && known ? (
        <Form path={path} tag={begun.tag} known={known} onDone={() => setBegun(null)} />
      ) : settings ? (
        <Facts
          facts={[
            ...FORM.map((field): Fact => [fieldName(field), settings[field] ?? '']),
            [
              fieldName('application'),
              settings.application ? (
                <ApplicationDocument key="application" text={settings.application} />
              ) : (
                ''
              ),
            ],
          ]}
        />
      ) : (
        <span className="quiet">
          <Trans>It is not configured.</Trans>
        </span>
      )}
    </Card>
  )
}

interface FormProps {
  path: string
  /** The version that the form began with. */
  tag: string
  known: Settings
  onDone: () => void
}

/** Other settings for one appliance: they become a version, and go out with the answer to its next beat. */
function Form({ path, tag, known, onDone }: FormProps) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [values, setValues] = useState<Record<string, string>>(() =>
    Object.fromEntries(FORM.map((field) => [field, known[field] ?? ''])),
  )
  const [why, setWhy] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  const changed = FORM.filter((field) => (values[field] ?? '').trim() !== (known[field] ?? ''))
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    const said = Object.fromEntries(changed.map((field) => [field, (values[field] ?? '').trim()]))
    try {
      await noc.change('PATCH', path, tag, { ...said, why: why.trim() })
      announce(t`The settings go out with the answer to its next beat.`)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
      setSaving(false)
    }
  }
  return (
    <form className={page.form} onSubmit={submit} noValidate data-testid="settings-form">
      {problem ? <ProblemAlert problem={problem} /> : null}
      {FORM.map((field) => (
        <TextInput
          key={field}
          label={fieldName(field)}
          description={isListed(field) ? t`Empty: what the policy gives. None at all: none.` : undefined}
          spellCheck={false}
          data-testid={`setting-${field}`}
          value={values[field] ?? ''}
          error={faults.get(field)}
          onChange={(event) => setValues({ ...values, [field]: event.currentTarget.value })}
        />
      ))}
      <TextInput
        label={t`Why`}
        description={t`Kept with the version.`}
        maxLength={256}
        data-testid="setting-why"
        value={why}
        onChange={(event) => setWhy(event.currentTarget.value)}
      />
      <p className="quiet">
        <Trans>It tries them, and goes back to what it has unless it reaches the NOC under them.</Trans>
      </p>
      <div className={page.actions}>
        <Button type="submit" loading={isSaving} disabled={changed.length === 0} data-testid="settings-give">
          <Trans>Give it these settings</Trans>
        </Button>
        <Button variant="default" onClick={onDone}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}
