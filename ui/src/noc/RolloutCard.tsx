import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useState } from 'react'
import { Link } from 'react-router'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import type { Rollout, RolloutWave } from '../backend/nocComponents.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { span } from '../domain/time.ts'
import page from '../pages/page.module.css'
import { rolloutBadge } from './componentBadges.ts'
import face from './face.module.css'
import { usePlaces } from './places.tsx'
import classes from './RolloutCard.module.css'
import { Card } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

interface Props {
  rollout: Rollout
  /** Somebody did something with it. */
  onDone: () => void
}

/** How far a roll-out is, wave by wave, and what can be done with it. */
export function RolloutCard({ rollout, onDone }: Props) {
  const { t, i18n } = useLingui()
  const places = usePlaces()
  const where = rollout.site === null ? places.organisation(rollout.organisation) : places.site(rollout.site)
  const of = rollout.model ? `${where}, ${rollout.model}` : where
  const soak = span(rollout.soak_s, i18n.locale)
  const title = t`Roll-out ${rollout.id}: ${rollout.name} ${rollout.version} for ${of}`
  return (
    <div data-testid={`rollout-${rollout.id}`}>
      <Card title={title} tools={<StatusBadge badge={rolloutBadge(rollout.state)} />}>
        {rollout.why ? (
          <p className={classes.why} data-testid="rollout-why">
            {rollout.why}
          </p>
        ) : null}
        <ol className={classes.waves}>
          {rollout.waves.map((wave, at) => (
            <Wave
              key={wave.reaches}
              wave={wave}
              number={at + 1}
              isNow={rollout.state === 'running' && at + 1 === rollout.wave}
            />
          ))}
        </ol>
        <p className={`quiet ${classes.facts}`}>
          {rollout.former ? <Trans>Before: {rollout.former}.</Trans> : null}{' '}
          <Trans>
            A wave has to stay well for {soak}; more than {rollout.halt_at} of it that fail halt the roll-out.
          </Trans>{' '}
          {rollout.next !== null ? (
            <Trans>
              The next step comes <Coming at={rollout.next} />.
            </Trans>
          ) : null}
          {rollout.state === 'back' && rollout.in_force ? (
            <Trans>
              The channel still leads to {rollout.version}: this holds it off until it leads elsewhere.
            </Trans>
          ) : null}{' '}
          {rollout.ended !== null ? (
            <Trans>
              It ended <When at={rollout.ended} />.
            </Trans>
          ) : null}
        </p>
        {rollout.state === 'running' || rollout.state === 'halted' ? (
          <Acts rollout={rollout} onDone={onDone} />
        ) : null}
        {rollout.failures.length > 0 ? (
          <ul className={`${face.plain} ${classes.failures}`} data-testid="rollout-failures">
            {rollout.failures.map(({ uid, why }) => (
              <li key={uid}>
                <Link className={`mono ${face.link}`} to={`/appliances/${uid}`}>
                  {uid}
                </Link>{' '}
                {why}
              </li>
            ))}
          </ul>
        ) : null}
      </Card>
    </div>
  )
}

function Coming({ at }: { at: number }) {
  const { i18n } = useLingui()
  const moment = new Date(at * 1_000)
  return (
    <time dateTime={moment.toISOString()}>
      {new Intl.DateTimeFormat(i18n.locale, { dateStyle: 'short', timeStyle: 'medium' }).format(moment)}
    </time>
  )
}

/** One wave as a bar, with what it is made of in words. */
function Wave({ wave, number, isNow }: { wave: RolloutWave; number: number; isNow: boolean }) {
  const { t, i18n } = useLingui()
  const { well, waiting, failed, excused, absent } = wave
  const parts = [
    { tone: 'good', count: well, text: t`${i18n.number(well)} well` },
    { tone: 'info', count: waiting, text: t`${i18n.number(waiting)} waiting` },
    { tone: 'bad', count: failed, text: t`${i18n.number(failed)} failed` },
    { tone: 'warn', count: excused, text: t`${i18n.number(excused)} failed and passed over` },
    { tone: 'idle', count: absent, text: t`${i18n.number(absent)} silent before` },
  ].filter(({ count }) => count > 0)
  const words = parts.map(({ text }) => text).join(', ')
  return (
    <li className={classes.wave} data-testid={`wave-${number}`} aria-current={isNow ? 'step' : undefined}>
      <span className={isNow ? classes.now : undefined}>
        <Trans>
          Wave {number}, to {wave.reaches}
        </Trans>
      </span>
      <span className={classes.bar} aria-hidden>
        {parts.map(({ tone, count }) => (
          <span key={tone} className={classes[tone]} style={{ flexGrow: count }} />
        ))}
      </span>
      <span className="quiet">
        {!wave.begun ? <Trans>not begun</Trans> : words === '' ? <Trans>nobody more</Trans> : words}
      </span>
    </li>
  )
}

type Act = 'continue' | 'halt' | 'back'

function Acts({ rollout, onDone }: Props) {
  const { noc, me } = useFace()
  const [isAsking, setAsking] = useState(false)
  const [busy, setBusy] = useState<Act | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const sites = rollout.site === null ? [] : [rollout.site]
  const mayHalt = may(me.operator, 'operator', rollout.organisation, sites)
  const mayMove = may(me.operator, 'administrator', rollout.organisation, sites)
  if (!mayHalt) return null
  const act = async (what: Act) => {
    setBusy(what)
    setProblem(null)
    try {
      const body = what === 'continue' ? { wave: rollout.wave } : {}
      await noc.post(`/v1/components/rollouts/${rollout.id}/${what}`, body)
      setAsking(false)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    }
    setBusy(null)
    onDone()
  }
  const isHalted = rollout.state === 'halted'
  const failed = rollout.waves.reduce((sum, wave) => sum + wave.failed, 0)
  const reached = rollout.waves.reduce(
    (sum, wave) => sum + wave.well + wave.waiting + wave.failed + wave.excused,
    0,
  )
  return (
    <>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {isAsking ? (
        <div className={page.actions}>
          <span>
            <Plural
              value={reached}
              one="# appliance goes back to what it had."
              other="# appliances go back to what they had."
            />
          </span>
          <Button
            color="red"
            loading={busy === 'back'}
            onClick={() => void act('back')}
            data-testid="back-yes"
          >
            <Trans>Take it back</Trans>
          </Button>
          <Button variant="default" onClick={() => setAsking(false)}>
            <Trans>Cancel</Trans>
          </Button>
        </div>
      ) : (
        <div className={page.actions}>
          {isHalted ? null : (
            <Button
              variant="default"
              loading={busy === 'halt'}
              onClick={() => void act('halt')}
              data-testid="rollout-halt"
            >
              <Trans>Halt</Trans>
            </Button>
          )}
          {mayMove ? (
            <>
              <Button
                variant="default"
                loading={busy === 'continue'}
                onClick={() => void act('continue')}
                data-testid="rollout-continue"
              >
                {!isHalted ? (
                  <Trans>Begin the next wave now</Trans>
                ) : failed > 0 ? (
                  <Trans>Go on without those that failed</Trans>
                ) : (
                  <Trans>Go on</Trans>
                )}
              </Button>
              <Button variant="default" onClick={() => setAsking(true)} data-testid="rollout-back">
                <Trans>Take back…</Trans>
              </Button>
            </>
          ) : null}
        </div>
      )}
    </>
  )
}
