import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type NocProblem, type ReservationSpec, toNocProblem } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import { Refused } from './Refused.tsx'

type Whose = 'serial' | 'mac' | 'uid'
const NOTHING: ReservationSpec = {
  uid: '',
  mac: '',
  serial: '',
  address: '',
  address6: '',
  host_name: '',
  note: '',
}

interface Props {
  /** One that is there, to be changed; or none. */
  before?: ReservationSpec
  onSave: (spec: ReservationSpec) => Promise<void>
  onCancel: () => void
}

/** What is kept for one appliance: who it is, and what. */
export function ReservationForm({ before = NOTHING, onSave, onCancel }: Props) {
  const { t } = useLingui()
  const [whose, setWhose] = useState<Whose>(before.uid ? 'uid' : before.mac ? 'mac' : 'serial')
  const [values, setValues] = useState(before)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  const isShownAtFields = faults.size > 0 && [...faults.keys()].every((field) => field in NOTHING)
  const field = (name: keyof ReservationSpec, label: string) => (
    <TextInput
      label={label}
      spellCheck={false}
      data-testid={`reservation-${name}`}
      value={values[name]}
      error={faults.get(name)}
      onChange={(event) => setValues({ ...values, [name]: event.currentTarget.value })}
    />
  )
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      // Exactly one says whose it is, whatever was typed before another was chosen.
      const own = { uid: '', mac: '', serial: '', [whose]: values[whose].trim() }
      await onSave({ ...values, ...own })
    } catch (reason) {
      setProblem(toNocProblem(reason))
      setSaving(false)
    }
  }
  const names: Record<Whose, string> = { serial: t`Serial number`, mac: t`MAC address`, uid: t`UID` }
  return (
    <form className={page.form} onSubmit={submit} noValidate data-testid="reservation-form">
      {problem && !isShownAtFields ? <Refused problem={problem} /> : null}
      <div className={page.pair}>
        <NativeSelect
          label={t`For the appliance with this`}
          data-testid="reservation-whose"
          value={whose}
          onChange={(event) => setWhose(event.currentTarget.value as Whose)}
          data={Object.entries(names).map(([value, label]) => ({ value, label }))}
        />
        {field(whose, names[whose])}
        {field('address', t`IP`)}
        {field('address6', t`IPv6`)}
        {field('host_name', t`Host name`)}
        {field('note', t`Why`)}
      </div>
      <div className={page.actions}>
        <Button type="submit" loading={isSaving} data-testid="reservation-save">
          <Trans>Reserve</Trans>
        </Button>
        <Button variant="default" onClick={onCancel}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}
