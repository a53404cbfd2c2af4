import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconBellZ, IconCheck, IconHistory } from '@tabler/icons-react'
import { useState } from 'react'
import { Link } from 'react-router'
import { type Alert, type NocProblem, toNocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { absolute } from '../domain/time.ts'
import page from '../pages/page.module.css'
import { Acknowledge, Silence } from './AlertForms.tsx'
import { AlertHistory } from './AlertHistory.tsx'
import face from './face.module.css'
import { usePlaces } from './places.tsx'
import { may, useFace } from './session.tsx'
import { alertBadge } from './words.ts'

/** Appliances that are named of an alert of a site. */
const NAMED = 6

/** One alert, and what can be done about it. */
export function AlertRow({ alert, onDone }: { alert: Alert; onDone: () => void }) {
  const { t } = useLingui()
  const { me } = useFace()
  const places = usePlaces()
  const [form, setForm] = useState<'acknowledge' | 'silence' | null>(null)
  const [isHistory, setHistory] = useState(false)
  const mayAct =
    alert.closed === null && may(me.operator, 'operator', alert.organisation, [alert.site]) && form === null
  const count = alert.appliances.length
  const done = () => {
    setForm(null)
    onDone()
  }
  return (
    <li data-testid={`alert-${alert.id}`}>
      <StatusBadge badge={alertBadge(alert)} />
      {alert.escalated !== null ? (
        <span data-testid={`escalated-${alert.id}`}>
          <StatusBadge
            badge={{ tone: alert.closed === null ? 'bad' : 'idle', icon: 'warning', text: t`Escalated` }}
          />
        </span>
      ) : null}
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
      {mayAct && alert.acknowledged === null ? (
        <Button
          variant="default"
          onClick={() => setForm('acknowledge')}
          leftSection={<IconCheck size={14} aria-hidden />}
          data-testid={`acknowledge-${alert.id}`}
        >
          <Trans>Acknowledge…</Trans>
        </Button>
      ) : null}
      {mayAct && alert.silenced_until === null ? (
        <Button
          variant="default"
          onClick={() => setForm('silence')}
          leftSection={<IconBellZ size={14} aria-hidden />}
          data-testid={`silence-${alert.id}`}
        >
          <Trans>Silence…</Trans>
        </Button>
      ) : null}
      <Button
        variant="subtle"
        onClick={() => setHistory(!isHistory)}
        leftSection={<IconHistory size={14} aria-hidden />}
        aria-expanded={isHistory}
        data-testid={`history-${alert.id}`}
      >
        <Trans>What became of it</Trans>
      </Button>
      {alert.acknowledged !== null ? (
        <span className={face.note} data-testid={`acknowledged-${alert.id}`}>
          <Trans>
            Seen by {alert.acknowledged_by} <When at={alert.acknowledged} />
          </Trans>
          {alert.note ? <>: {alert.note}</> : null}
        </span>
      ) : null}
      {alert.silenced_until !== null ? <Silenced alert={alert} mayAct={mayAct} onDone={done} /> : null}
      {form === 'acknowledge' ? (
        <Acknowledge alert={alert} onDone={done} onCancel={() => setForm(null)} />
      ) : null}
      {form === 'silence' ? <Silence alert={alert} onDone={done} onCancel={() => setForm(null)} /> : null}
      {isHistory ? <AlertHistory alert={alert} /> : null}
    </li>
  )
}

/** That nobody is told of it, until when, and the way back. */
function Silenced({ alert, mayAct, onDone }: { alert: Alert; mayAct: boolean; onDone: () => void }) {
  const { i18n } = useLingui()
  const { noc } = useFace()
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const end = async () => {
    try {
      await noc.remove(`/v1/alerts/${alert.id}/silence`)
      setProblem(null)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    }
  }
  return (
    <span className={`${face.note} ${page.actions}`} data-testid={`silenced-${alert.id}`}>
      <span>
        <Trans>
          Silenced by {alert.silenced_by} until {absolute(alert.silenced_until ?? 0, i18n.locale)}
        </Trans>
        {alert.silence_note ? <>: {alert.silence_note}</> : null}
      </span>
      {mayAct ? (
        <Button variant="subtle" onClick={end} data-testid={`unsilence-${alert.id}`}>
          <Trans>End the silence</Trans>
        </Button>
      ) : null}
      {problem ? <ProblemAlert problem={problem} /> : null}
    </span>
  )
}
