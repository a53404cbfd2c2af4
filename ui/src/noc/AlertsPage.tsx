import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, TextInput } from '@mantine/core'
import { IconBellOff, IconCheck } from '@tabler/icons-react'
import { type FormEvent, useCallback, useState } from 'react'
import { Link } from 'react-router'
import { type Alert, type NocProblem, type Page, toNocProblem } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { kinds, type Listed, useList } from './loading.ts'
import { usePlaces } from './places.tsx'
import { may, useFace } from './session.tsx'
import { alertBadge } from './words.ts'

const CONCERNS = kinds('alert')
/** Appliances that are named of an alert of a site. */
const NAMED = 6

/** Alerts of all sites: the open ones, then what was. */
export function AlertsPage() {
  const { t } = useLingui()
  const open = useAlerts(true)
  const closed = useAlerts(false)
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Alerts</Trans>
        </h1>
      </header>
      <div className={face.stack}>
        <section className={page.card} aria-label={t`Open alerts`}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Open</Trans>
            </h2>
          </div>
          {open.problem ? <ProblemAlert problem={open.problem} /> : null}
          {open.isReady && open.rows.length === 0 ? (
            <Empty icon={<IconBellOff size={28} />} title={<Trans>No open alerts</Trans>}>
              <Trans>Every configured appliance that you see reports in time.</Trans>
            </Empty>
          ) : (
            <AlertList list={open} testid="alerts-open" />
          )}
        </section>
        {closed.rows.length > 0 ? (
          <section className={page.card} aria-label={t`History`}>
            <div className={page.cardHead}>
              <h2>
                <Trans>History</Trans>
              </h2>
            </div>
            <AlertList list={closed} testid="alerts-closed" />
          </section>
        ) : null}
      </div>
    </div>
  )
}

function useAlerts(open: boolean): Listed<Alert> {
  const { noc } = useFace()
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Alert>>('/v1/alerts', { open, after, limit }),
    [noc, open],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || CONCERNS(changes)) list.refresh()
  })
  return list
}

function AlertList({ list, testid }: { list: Listed<Alert>; testid: string }) {
  return (
    <>
      <ul className={face.list} data-testid={testid}>
        {list.rows.map((alert) => (
          <AlertRow key={alert.id} alert={alert} onDone={list.refresh} />
        ))}
      </ul>
      {list.hasMore ? (
        <Button variant="subtle" fullWidth onClick={list.more}>
          <Trans>Show more</Trans>
        </Button>
      ) : null}
    </>
  )
}

function AlertRow({ alert, onDone }: { alert: Alert; onDone: () => void }) {
  const { me } = useFace()
  const places = usePlaces()
  const [isOpen, setOpen] = useState(false)
  const mayAct = may(me.operator, 'operator', alert.organisation, [alert.site])
  const count = alert.appliances.length
  return (
    <li data-testid={`alert-${alert.id}`}>
      <StatusBadge badge={alertBadge(alert)} />
      <Link className={face.link} to={`/?site=${alert.site}`}>
        {places.site(alert.site)}
      </Link>
      <span className="quiet">{places.organisation(alert.organisation)}</span>
      {alert.appliances.slice(0, NAMED).map((uid) => (
        <Link key={uid} className={`${face.link} mono`} to={`/appliances/${uid}`}>
          {uid.slice(0, 9)}
        </Link>
      ))}
      {count > NAMED ? (
        <span className="quiet">
          <Plural value={count - NAMED} one="and # more" other="and # more" />
        </span>
      ) : null}
      <span className={page.grow} />
      <span className="quiet">
        <When at={alert.opened} exact />
      </span>
      {alert.acknowledged === null && alert.closed === null && mayAct && !isOpen ? (
        <Button
          variant="default"
          onClick={() => setOpen(true)}
          leftSection={<IconCheck size={14} aria-hidden />}
          data-testid={`acknowledge-${alert.id}`}
        >
          <Trans>Acknowledge…</Trans>
        </Button>
      ) : null}
      {alert.acknowledged !== null ? (
        <span className={face.note} data-testid={`acknowledged-${alert.id}`}>
          <Trans>
            Seen by {alert.acknowledged_by} <When at={alert.acknowledged} />
          </Trans>
          {alert.note ? <>: {alert.note}</> : null}
        </span>
      ) : null}
      {isOpen ? (
        <Acknowledge
          alert={alert}
          onDone={() => {
            setOpen(false)
            onDone()
          }}
          onCancel={() => setOpen(false)}
        />
      ) : null}
    </li>
  )
}

interface AcknowledgeProps {
  alert: Alert
  onDone: () => void
  onCancel: () => void
}

function Acknowledge({ alert, onDone, onCancel }: AcknowledgeProps) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [note, setNote] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      const path = `/v1/alerts/${alert.id}`
      // As it is now: the version is asked for when it is changed, and a note of somebody else is not written over.
      const { value, tag } = await noc.read<Alert>(path)
      if (value.acknowledged === null) await noc.change('PUT', `${path}/acknowledgement`, tag, { note })
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
      setSaving(false)
    }
  }
  return (
    <form className={`${face.note} ${page.actions}`} onSubmit={save}>
      <TextInput
        className={face.wide}
        aria-label={t`Note`}
        placeholder={t`What is being done about it`}
        maxLength={500}
        autoFocus
        data-testid="note"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        error={problem ? `${problem.message} ${problem.remedy}` : undefined}
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
