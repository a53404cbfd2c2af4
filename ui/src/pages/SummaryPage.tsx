import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Group, Menu } from '@mantine/core'
import { IconBellOff, IconChevronDown } from '@tabler/icons-react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { Desk } from '../backend/desk.ts'
import type { AlertView, CheckedView, NotificationState, ProblemView } from '../bindings.ts'
import { alertName, healthBadge } from '../components/badge.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { countAttention, mostUrgent } from '../domain/attention.ts'
import { type Length, switchedAt } from '../domain/quiet.ts'
import { absolute } from '../domain/time.ts'
import { useFleet, useSession } from '../store/context.tsx'
import classes from './SummaryPage.module.css'

/** As many as anybody reads in a pop-up. */
const MOST = 50
const NAMES = 4
const HOUR = 3600

/** The tray's pop-up: how it stands, and what can be done about it. */
export function SummaryPage() {
  const { backend } = useSession()
  return backend.desk ? <Summary desk={backend.desk} /> : null
}

function Summary({ desk }: { desk: Desk }) {
  const { t } = useLingui()
  const { backend } = useSession()
  const alerts = mostUrgent(useFleet((s) => s.alerts))
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [said, setSaid] = useState<string | null>(null)
  const run = useCallback(async (work: () => Promise<string | null>) => {
    try {
      setSaid(await work())
      setProblem(null)
    } catch (reason) {
      setProblem(toProblem(reason))
      setSaid(null)
    }
  }, [])
  const page = useRef<HTMLElement>(null)
  useEffect(() => {
    document.title = t`Muster summary`
    page.current?.focus()
    const close = (event: KeyboardEvent) => {
      // The first Escape closes an open menu.
      if (event.key !== 'Escape' || document.querySelector('[role="menu"]')) return
      desk.closeSummary().catch(() => undefined)
    }
    document.addEventListener('keydown', close)
    return () => document.removeEventListener('keydown', close)
  }, [desk, t])

  const acknowledge = (alert: AlertView) =>
    run(async () => {
      await backend.acknowledge(alert.id, '')
      return t`Acknowledged.`
    })
  const silence = (alert: AlertView, seconds: number) =>
    run(async () => {
      await desk.silence(alert.id, seconds)
      return t`Silenced.`
    })
  const check = (uid: string) =>
    run(async () => {
      const checked = await desk.checkNow(uid)
      return words(checked)
    })
  const words = ({ name, heard_at, connected, health }: CheckedView) => {
    const [place] = heard_at
    const lan = place ? t`${name} answers from ${place}.` : t`${name} does not answer on this network.`
    const { text } = healthBadge(health)
    return connected ? t`${lan} The NOC says: ${text}.` : t`${lan} The NOC cannot be reached.`
  }
  return (
    <main className={classes.popup} ref={page} tabIndex={-1} data-testid="summary">
      <State />
      {alerts.length === 0 ? (
        <p className={classes.none}>
          <Trans>No alert waits for anybody.</Trans>
        </p>
      ) : null}
      <ul className={classes.list} aria-label={t`Alerts that need somebody`}>
        {alerts.slice(0, MOST).map((alert) => (
          <li key={alert.id} className={classes.alert} data-testid={`summary-alert-${alert.id}`}>
            <StatusBadge badge={{ tone: 'bad', icon: 'warning', text: alertName(alert) }} />{' '}
            <span className="quiet">
              <When at={alert.opened} />
            </span>
            <div className={classes.names}>
              <Names alert={alert} />
            </div>
            <Actions
              alert={alert}
              open={(uid) => void run(() => desk.openWindow(uid).then(() => null))}
              acknowledge={() => void acknowledge(alert)}
              silence={(seconds) => void silence(alert, seconds)}
              check={(uid) => check(uid)}
            />
          </li>
        ))}
      </ul>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {said ? (
        <div className={classes.said} role="status" data-testid="summary-said">
          {said}
        </div>
      ) : null}
      <footer className={classes.foot}>
        <Button
          size="compact-sm"
          onClick={() => void run(() => desk.openWindow(null).then(() => null))}
          data-testid="summary-open"
        >
          {alerts.length > MOST ? (
            <Plural value={alerts.length} one="Open # alert" other="Open all # alerts" />
          ) : (
            <Trans>Open the alerts</Trans>
          )}
        </Button>
        <Quiet desk={desk} run={run} />
      </footer>
    </main>
  )
}

function State() {
  const { i18n } = useLingui()
  const noc = useFleet((s) => s.noc)
  const { failing, acknowledged, silenced } = countAttention(useFleet((s) => s.alerts))
  const isLost = noc.kind === 'lost'
  return (
    <header className={classes.head}>
      <h1 className={classes.title} data-testid="summary-state">
        {isLost ? (
          <Trans>No connection to the NOC since {absolute(noc.since, i18n.locale)}</Trans>
        ) : failing > 0 ? (
          <Plural value={failing} one="# appliance is failing" other="# appliances are failing" />
        ) : acknowledged + silenced > 0 ? (
          <Trans>Nobody is needed</Trans>
        ) : (
          <Trans>All well</Trans>
        )}
      </h1>
      <div className={classes.counts} data-testid="summary-counts">
        {isLost ? (
          <Trans>
            Known from then: {failing} failing, {acknowledged} acknowledged, {silenced} silenced
          </Trans>
        ) : acknowledged + silenced > 0 ? (
          <Trans>
            {acknowledged} acknowledged, {silenced} silenced
          </Trans>
        ) : null}
      </div>
    </header>
  )
}

function Names({ alert }: { alert: AlertView }) {
  const shown = alert.appliances.slice(0, NAMES).map(({ name }) => name)
  const more = alert.appliances.length - shown.length
  return (
    <>
      {shown.join(', ')} {more > 0 ? <Plural value={more} one="and # more" other="and # more" /> : null}
    </>
  )
}

interface ActionsProps {
  alert: AlertView
  open: (uid: string | null) => void
  acknowledge: () => void
  silence: (seconds: number) => void
  check: (uid: string) => Promise<void>
}

function Actions({ alert, open, acknowledge, silence, check }: ActionsProps) {
  const { t } = useLingui()
  const [isChecking, setChecking] = useState(false)
  const uid = alert.appliances.length === 1 ? (alert.appliances[0]?.uid ?? null) : null
  const untilTomorrow = () => {
    const now = new Date()
    const until = switchedAt('tomorrow', now)
    silence(until.kind === 'until' ? Math.max(60, until.at - Math.floor(now.getTime() / 1000)) : HOUR)
  }
  const checkIt = async (uid: string) => {
    setChecking(true)
    await check(uid)
    setChecking(false)
  }
  return (
    <Group gap={6}>
      <Button size="compact-xs" variant="default" onClick={() => open(uid)}>
        <Trans>Open</Trans>
      </Button>
      <Button
        size="compact-xs"
        variant="default"
        onClick={acknowledge}
        data-testid={`summary-acknowledge-${alert.id}`}
      >
        <Trans>Acknowledge</Trans>
      </Button>
      <Menu position="bottom-start">
        <Menu.Target>
          <Button
            size="compact-xs"
            variant="default"
            rightSection={<IconChevronDown size={12} aria-hidden />}
            data-testid={`summary-silence-${alert.id}`}
          >
            <Trans>Silence</Trans>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => silence(HOUR)}>{t`For 1 hour`}</Menu.Item>
          <Menu.Item onClick={untilTomorrow}>{t`Until tomorrow, 8:00`}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {uid ? (
        <Button
          size="compact-xs"
          variant="default"
          loading={isChecking}
          onClick={() => void checkIt(uid)}
          data-testid={`summary-check-${alert.id}`}
        >
          <Trans>Check now</Trans>
        </Button>
      ) : null}
    </Group>
  )
}

function Quiet({ desk, run }: { desk: Desk; run: (work: () => Promise<string | null>) => Promise<void> }) {
  const { t, i18n } = useLingui()
  const [state, setState] = useState<NotificationState | null>(null)
  // What cannot be read now is read when it is next looked at.
  const load = useCallback(() => void desk.notifications().then(setState, () => undefined), [desk])
  useEffect(() => {
    load()
    // The pop-up stays loaded while it is hidden, and the tray's menu switches, too.
    window.addEventListener('focus', load)
    return () => window.removeEventListener('focus', load)
  }, [load])
  const choose = (length: Length) => () =>
    void run(async () => {
      await desk.doNotDisturb(switchedAt(length, new Date()))
      setState(await desk.notifications())
      return null
    })
  const label = !state?.quiet
    ? t`Do not disturb`
    : state.quiet_until === null
      ? t`Do not disturb: on`
      : t`Do not disturb until ${absolute(state.quiet_until, i18n.locale)}`
  return (
    <Menu position="top-start">
      <Menu.Target>
        <Button
          size="compact-sm"
          variant="default"
          leftSection={<IconBellOff size={14} aria-hidden />}
          data-testid="summary-quiet"
        >
          {label}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={choose('hour')}>{t`For 1 hour`}</Menu.Item>
        <Menu.Item onClick={choose('tomorrow')}>{t`Until tomorrow, 8:00`}</Menu.Item>
        <Menu.Item onClick={choose('on')}>{t`Until switched off`}</Menu.Item>
        {state?.quiet && state.settings.do_not_disturb.kind !== 'off' ? (
          <Menu.Item onClick={choose('off')}>{t`Notify again`}</Menu.Item>
        ) : null}
      </Menu.Dropdown>
    </Menu>
  )
}
