import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useState } from 'react'
import { type Channel, type NocProblem, type Tested, toNocProblem } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import { ChannelForm } from './ChannelForm.tsx'
import face from './face.module.css'
import { Once } from './Once.tsx'
import { usePlaces } from './places.tsx'
import { useFace } from './session.tsx'
import { channelBadge, targetKind } from './words.ts'

/** One channel: how it does, and what can be done with it. */
export function ChannelRow({ channel, onDone }: { channel: Channel; onDone: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const places = usePlaces()
  const [isEditing, setEditing] = useState(false)
  const [isSure, setSure] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [tested, setTested] = useState<Tested | null>(null)
  const [secret, setSecret] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const spec = channel.channel
  const path = `/v1/channels/${channel.id}`
  const doing = async (work: () => Promise<void>) => {
    setBusy(true)
    try {
      await work()
      setProblem(null)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setBusy(false)
    }
  }
  const test = () =>
    doing(async () => {
      const outcome = await noc.post<Tested>(`${path}/test`, {})
      setTested(outcome)
      announce(outcome.is_delivered ? t`The test was delivered.` : t`The test was not delivered.`)
    })
  const renew = () =>
    doing(async () => setSecret((await noc.post<{ secret: string }>(`${path}/secret`, {})).secret))
  const remove = () =>
    doing(async () => {
      await noc.remove(path)
      onDone()
    })
  return (
    <li data-testid={`channel-${channel.id}`}>
      <StatusBadge badge={channelBadge(channel)} />
      <span className={face.name}>{spec.name}</span>
      <span>{targetKind(spec.target.kind)}</span>
      <span className="quiet">{places.organisation(channel.organisation)}</span>
      <span className={page.grow} />
      <Button variant="default" loading={isBusy} onClick={test} data-testid={`test-${channel.id}`}>
        <Trans>Send a test</Trans>
      </Button>
      <Button variant="default" onClick={() => setEditing(!isEditing)} data-testid={`edit-${channel.id}`}>
        <Trans>Change…</Trans>
      </Button>
      {spec.target.kind === 'webhook' ? (
        <Button variant="default" onClick={renew} data-testid={`secret-${channel.id}`}>
          <Trans>New secret</Trans>
        </Button>
      ) : null}
      {isSure ? (
        <>
          <Button color="red" onClick={remove} data-testid={`remove-sure-${channel.id}`}>
            <Trans>Remove it</Trans>
          </Button>
          <Button variant="default" onClick={() => setSure(false)}>
            <Trans>Keep it</Trans>
          </Button>
        </>
      ) : (
        <Button variant="default" onClick={() => setSure(true)} data-testid={`remove-${channel.id}`}>
          <Trans>Remove…</Trans>
        </Button>
      )}
      <span className={face.note}>{where(channel)}</span>
      <Outcome channel={channel} />
      {problem ? (
        <div className={face.note}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      {tested ? (
        <output className={face.answer} data-testid={`tested-${channel.id}`}>
          {tested.is_delivered ? (
            <Trans>
              Delivered in {tested.took_ms} ms. The receiver said: {tested.answer}
            </Trans>
          ) : (
            <Trans>
              Not delivered ({tested.took_ms} ms): {tested.answer}
            </Trans>
          )}
        </output>
      ) : null}
      {secret ? (
        <div className={face.note}>
          <Once label={t`Secret of the webhook`} secret={secret} onDone={() => setSecret('')}>
            <Trans>The receiver checks signatures with it. The one before is good no more.</Trans>
          </Once>
        </div>
      ) : null}
      {isEditing ? (
        <div className={face.note}>
          <ChannelForm
            channel={channel}
            organisations={[]}
            onDone={() => {
              setEditing(false)
              onDone()
            }}
          />
        </div>
      ) : null}
    </li>
  )
}

function where({ channel: { target } }: Channel): string {
  return target.kind === 'email' ? `${target.server}:${target.port} → ${target.to.join(', ')}` : target.url
}

/** What waits, what was given up, and what the receiver said last. */
function Outcome({ channel: { id, state } }: { channel: Channel }) {
  return (
    <span className={`${face.note} quiet`} data-testid={`outcome-${id}`}>
      {state.waiting > 0 ? (
        <>
          <Plural value={state.waiting} one="# event waits." other="# events wait." />{' '}
        </>
      ) : null}
      {state.given_up > 0 ? (
        <>
          <Plural
            value={state.given_up}
            one="# message was given up in the last seven days."
            other="# messages were given up in the last seven days."
          />{' '}
        </>
      ) : null}
      {state.tried === null ? (
        <Trans>Nothing was sent yet.</Trans>
      ) : (
        <>
          <Trans>
            Last tried <When at={state.tried} />
          </Trans>
          : {state.outcome}
        </>
      )}
    </span>
  )
}
