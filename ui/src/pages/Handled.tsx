import { Trans, useLingui } from '@lingui/react/macro'
import { Button, TextInput } from '@mantine/core'
import { IconCheck } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { AlertView, ProblemView } from '../bindings.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { absolute } from '../domain/time.ts'
import { useSession } from '../store/context.tsx'
import classes from './AlertsPage.module.css'

/** What people made of an alert, and the way to say that one saw it. */
export function Handled({ alert }: { alert: AlertView }) {
  const { t, i18n } = useLingui()
  const [isOpen, setOpen] = useState(false)
  return (
    <div className={classes.handled}>
      {alert.escalated !== null ? (
        <StatusBadge
          badge={{ tone: alert.closed === null ? 'bad' : 'idle', icon: 'warning', text: t`Escalated` }}
        />
      ) : null}
      {alert.silenced_until !== null ? (
        <span data-testid={`silenced-${alert.id}`}>
          <Trans>Silenced until {absolute(alert.silenced_until, i18n.locale)}</Trans>
        </span>
      ) : null}
      {alert.acknowledged !== null ? (
        <span data-testid={`acknowledged-${alert.id}`}>
          <Trans>
            Seen by {alert.acknowledged_by} <When at={alert.acknowledged} />
          </Trans>
          {alert.note ? <>: {alert.note}</> : null}
        </span>
      ) : null}
      {alert.acknowledged === null && alert.closed === null ? (
        isOpen ? (
          <Acknowledge alert={alert} onDone={() => setOpen(false)} />
        ) : (
          <Button
            variant="default"
            size="compact-sm"
            leftSection={<IconCheck size={14} aria-hidden />}
            onClick={() => setOpen(true)}
            data-testid={`acknowledge-${alert.id}`}
          >
            <Trans>Acknowledge…</Trans>
          </Button>
        )
      ) : null}
    </div>
  )
}

function Acknowledge({ alert, onDone }: { alert: AlertView; onDone: () => void }) {
  const { t } = useLingui()
  const { backend } = useSession()
  const [note, setNote] = useState('')
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [isSaving, setSaving] = useState(false)
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      await backend.acknowledge(alert.id, note)
      onDone()
    } catch (reason) {
      setProblem(toProblem(reason))
      setSaving(false)
    }
  }
  return (
    <form className={classes.acknowledge} onSubmit={save}>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <TextInput
        aria-label={t`Note`}
        placeholder={t`What is being done about it`}
        maxLength={500}
        autoFocus
        data-testid="note"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      <Button type="submit" size="compact-sm" loading={isSaving} data-testid="note-save">
        <Trans>Acknowledge</Trans>
      </Button>
      <Button variant="default" size="compact-sm" onClick={onDone}>
        <Trans>Cancel</Trans>
      </Button>
    </form>
  )
}
