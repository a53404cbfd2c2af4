import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type Alert, type NocProblem, toNocProblem } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useFace } from './session.tsx'

interface Props {
  alert: Alert
  onDone: () => void
  onCancel: () => void
}

/** Changes an alert as it is now: the version is asked for when it is changed, so that nothing of somebody else is written over. */
function useChange(alert: Alert, onDone: () => void) {
  const { noc } = useFace()
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const save = async (what: string, body: unknown, isDone: (alert: Alert) => boolean) => {
    setSaving(true)
    try {
      const path = `/v1/alerts/${alert.id}`
      const { value, tag } = await noc.read<Alert>(path)
      if (!isDone(value)) await noc.change('PUT', `${path}/${what}`, tag, body)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
      setSaving(false)
    }
  }
  const error = problem ? `${problem.message} ${problem.remedy}` : undefined
  return { save, isSaving, error }
}

/** Says that an alert was seen. */
export function Acknowledge({ alert, onDone, onCancel }: Props) {
  const { t } = useLingui()
  const [note, setNote] = useState('')
  const { save, isSaving, error } = useChange(alert, onDone)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void save('acknowledgement', { note }, (now) => now.acknowledged !== null)
  }
  return (
    <form className={`${face.note} ${page.actions}`} onSubmit={submit}>
      <TextInput
        className={face.wide}
        aria-label={t`Note`}
        placeholder={t`What is being done about it`}
        maxLength={500}
        autoFocus
        data-testid="note"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        error={error}
      />
      <Button type="submit" loading={isSaving} data-testid="note-save">
        <Trans>Acknowledge</Trans>
      </Button>
      <Button variant="default" onClick={onCancel}>
        <Trans>Cancel</Trans>
      </Button>
    </form>
  )
}

const HOURS = [1, 4, 12, 24, 72, 168]

/** Has nobody be told of an alert for a while. */
export function Silence({ alert, onDone, onCancel }: Props) {
  const { t } = useLingui()
  const [note, setNote] = useState('')
  const [hours, setHours] = useState(4)
  const { save, isSaving, error } = useChange(alert, onDone)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void save('silence', { seconds: hours * 3_600, note }, () => false)
  }
  const label = (hours: number) =>
    hours === 1
      ? t`for one hour`
      : hours < 24
        ? t`for ${hours} hours`
        : hours === 24
          ? t`for one day`
          : t`for ${hours / 24} days`
  return (
    <form className={`${face.note} ${page.actions}`} onSubmit={submit}>
      <NativeSelect
        aria-label={t`How long`}
        data-testid="silence-hours"
        value={String(hours)}
        onChange={(event) => setHours(Number(event.currentTarget.value))}
        data={HOURS.map((hours) => ({ value: String(hours), label: label(hours) }))}
      />
      <TextInput
        className={face.wide}
        aria-label={t`Why`}
        placeholder={t`Why nobody has to hear of it`}
        maxLength={500}
        autoFocus
        data-testid="silence-note"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        error={error}
      />
      <Button type="submit" loading={isSaving} data-testid="silence-save">
        <Trans>Silence</Trans>
      </Button>
      <Button variant="default" onClick={onCancel}>
        <Trans>Cancel</Trans>
      </Button>
    </form>
  )
}
