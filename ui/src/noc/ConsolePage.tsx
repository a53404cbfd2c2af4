import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { IconMessages } from '@tabler/icons-react'
import { type FormEvent, useCallback, useMemo, useState } from 'react'
import { useParams } from 'react-router'
import {
  type Console,
  type Message,
  type NocProblem,
  type Page,
  type Settings,
  toNocProblem,
} from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { Empty } from '../components/Empty.tsx'
import { fieldName } from '../components/fields.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { shownFields } from '../domain/settings.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLiveList, useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import { BackLink, Card, More } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'
import { standingBadge } from './words.ts'

const CONSOLE = kinds('console')
const MESSAGE = kinds('message')

/** One console, what it is made to do, and what came of it. */
export function ConsolePage() {
  const { id = '' } = useParams()
  const { noc, me } = useFace()
  const places = usePlaces()
  const path = `/v1/consoles/${encodeURIComponent(id)}`
  const load = useCallback(() => noc.get<Console>(path), [noc, path])
  const { value, problem, reload } = useLoaded(load, CONSOLE)
  return (
    <div className={page.page}>
      <BackLink to="/consoles">
        <Trans>Consoles</Trans>
      </BackLink>
      <header className={page.head}>
        <h1 className={`${page.title} ${face.name}`}>{value?.name ?? <Trans>Console</Trans>}</h1>
        {value ? <span className="quiet">{value.sites.map(places.site).join(', ')}</span> : null}
        <div className={page.grow} />
        {value && value.revoked === null && may(me.operator, 'operator', value.organisation, value.sites) ? (
          <RevokeButton path={path} onDone={reload} />
        ) : null}
      </header>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {value ? (
        <div className={face.stack}>
          {value.revoked !== null ? (
            <p className={page.lead}>
              <Trans>
                This console was revoked <When at={value.revoked} exact />. It gets no more messages.
              </Trans>
            </p>
          ) : may(me.operator, 'operator', value.organisation, value.sites) ? (
            <SendForm path={path} />
          ) : (
            <p className={page.lead}>
              <Trans>Operators of all sites of this console have it do things.</Trans>
            </p>
          )}
          <Messages path={path} mayTakeBack={may(me.operator, 'operator', value.organisation, value.sites)} />
        </div>
      ) : null}
    </div>
  )
}

/** Asks once more before it does what cannot be taken back. */
function RevokeButton({ path, onDone }: { path: string; onDone: () => void }) {
  const { noc } = useFace()
  const [isAsking, setAsking] = useState(false)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  if (problem) return <ProblemAlert problem={problem} />
  if (!isAsking)
    return (
      <Button variant="default" onClick={() => setAsking(true)} data-testid="revoke">
        <Trans>Revoke…</Trans>
      </Button>
    )
  return (
    <>
      <span>
        <Trans>It can do nothing more, and needs a new invite to come back.</Trans>
      </span>
      <Button
        color="red.9"
        autoFocus
        data-testid="revoke-sure"
        onClick={() => noc.remove(path).then(onDone, (reason: unknown) => setProblem(toNocProblem(reason)))}
      >
        <Trans>Revoke</Trans>
      </Button>
      <Button variant="default" onClick={() => setAsking(false)}>
        <Trans>Cancel</Trans>
      </Button>
    </>
  )
}

/** The message has no place for IPv6. */
const SETTINGS = shownFields([])
type Kind = 'refresh' | 'list' | 'status' | 'kick' | 'config'
const NO_SETTINGS = Object.fromEntries(SETTINGS.map((field) => [field, '']))

function SendForm({ path }: { path: string }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [kind, setKind] = useState<Kind>('refresh')
  const [mac, setMac] = useState('')
  const [filter, setFilter] = useState('0')
  const [by, setBy] = useState<'policy' | 'hand'>('policy')
  const [settings, setSettings] = useState<Record<string, string>>(NO_SETTINGS)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSending, setSending] = useState(false)
  const hints: Record<Kind, string> = {
    refresh: t`It looks for appliances on its network. The list of appliances shows what it found.`,
    list: t`It answers with the appliances that it knows, in one line each.`,
    status: t`It answers how the last configuration stands: 0 not ended, 1 carried out, -1 failed.`,
    kick: t`It kick-starts an appliance that has applied its settings.`,
    config: t`It configures one appliance, by the site's policy or as you say.`,
  }
  const order = useMemo(() => {
    if (kind === 'kick') return { kind, mac: mac.trim() }
    if (kind === 'list') return { kind, filter }
    if (kind !== 'config') return { kind }
    const said = Object.fromEntries(SETTINGS.map((field) => [field, (settings[field] ?? '').trim()]))
    return { kind, mac: mac.trim(), ...(by === 'hand' ? { settings: said as unknown as Settings } : {}) }
  }, [kind, mac, filter, by, settings])

  const send = async (event: FormEvent) => {
    event.preventDefault()
    setSending(true)
    try {
      await noc.post<Message>(`${path}/messages`, { order })
      setProblem(null)
      announce(t`The message waits for the console.`)
    } catch (reason) {
      const found = toNocProblem(reason)
      const isMac = found.code === 'malformed' && (kind === 'kick' || kind === 'config')
      setProblem(
        isMac
          ? {
              ...found,
              message: t`The MAC address does not read.`,
              remedy: t`Write it as AA:BB:CC:00:11:22.`,
            }
          : found,
      )
    } finally {
      setSending(false)
    }
  }

  return (
    <form className={page.form} onSubmit={send} data-testid="send-form">
      {problem ? <ProblemAlert problem={problem} /> : null}
      <NativeSelect
        label={t`Have it`}
        description={hints[kind]}
        data-testid="order"
        value={kind}
        onChange={(event) => {
          setKind(event.currentTarget.value as Kind)
          setProblem(null)
        }}
        data={[
          { value: 'refresh', label: t`Discover (sendRefresh)` },
          { value: 'list', label: t`List its appliances (getList)` },
          { value: 'status', label: t`Say how the last configuration stands (getStatus)` },
          { value: 'kick', label: t`Kick-start an appliance (sendKick)` },
          { value: 'config', label: t`Configure an appliance (sendConfig)` },
        ]}
      />
      {kind === 'list' ? (
        <NativeSelect
          label={t`Which appliances`}
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
          data={[
            { value: '0', label: t`All` },
            { value: '2', label: t`Configured ones` },
          ]}
        />
      ) : null}
      {kind === 'kick' || kind === 'config' ? (
        <TextInput
          label={t`MAC address of the appliance`}
          placeholder="AA:BB:CC:00:11:22"
          required
          withAsterisk={false}
          spellCheck={false}
          data-testid="mac"
          value={mac}
          onChange={(event) => setMac(event.currentTarget.value)}
        />
      ) : null}
      {kind === 'config' ? (
        <NativeSelect
          label={t`Settings`}
          data-testid="by"
          value={by}
          onChange={(event) => setBy(event.currentTarget.value as 'policy' | 'hand')}
          data={[
            { value: 'policy', label: t`what the site's policy says` },
            { value: 'hand', label: t`these` },
          ]}
        />
      ) : null}
      {kind === 'config' && by === 'hand' ? (
        <div className={page.pair}>
          {SETTINGS.map((field) => (
            <TextInput
              key={field}
              label={fieldName(field)}
              spellCheck={false}
              value={settings[field] ?? ''}
              onChange={(event) => setSettings({ ...settings, [field]: event.currentTarget.value })}
            />
          ))}
        </div>
      ) : null}
      <div className={page.actions}>
        <Button type="submit" loading={isSending} data-testid="send">
          <Trans>Send</Trans>
        </Button>
      </div>
    </form>
  )
}

function Messages({ path, mayTakeBack }: { path: string; mayTakeBack: boolean }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Message>>(`${path}/messages`, { after, limit }),
    [noc, path],
  )
  const list = useLiveList(load, MESSAGE)
  return (
    <Card title={t`Messages`} isFlush>
      {list.problem ? <ProblemAlert problem={list.problem} /> : null}
      {list.isReady && list.rows.length === 0 ? (
        <Empty icon={<IconMessages size={28} />} title={<Trans>Nothing was sent to this console</Trans>}>
          <Trans>What it is made to do is listed here, with what came of it.</Trans>
        </Empty>
      ) : (
        <ul className={face.list} data-testid="messages">
          {list.rows.map((message) => (
            <MessageRow
              key={message.number}
              path={path}
              message={message}
              mayTakeBack={mayTakeBack}
              onDone={list.refresh}
            />
          ))}
        </ul>
      )}
      <More list={list} />
    </Card>
  )
}

interface MessageProps {
  path: string
  message: Message
  mayTakeBack: boolean
  onDone: () => void
}

function MessageRow({ path, message, mayTakeBack, onDone }: MessageProps) {
  const { noc } = useFace()
  const [whole, setWhole] = useState<string | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const own = `${path}/messages/${message.number}`
  const answer = whole ?? message.answer
  const failed = (reason: unknown) => setProblem(toNocProblem(reason))
  const { order } = message
  const words = [order.target?.mac, order.filter, order.settings?.host_name, order.settings?.address]
  return (
    <li data-testid="message">
      <StatusBadge badge={standingBadge(message.state)} />
      <span className={face.name}>
        {message.name}({words.filter((word) => word !== undefined).join(', ')})
      </span>
      <span className={page.grow} />
      <span className="quiet">
        <When at={message.issued} exact />
      </span>
      {(message.state === 'waiting' || message.state === 'fetched') && mayTakeBack ? (
        <Button
          variant="default"
          onClick={() => noc.remove(own).then(onDone, failed)}
          data-testid="take-back"
        >
          <Trans>Take back</Trans>
        </Button>
      ) : null}
      {message.state === 'done' && message.name.startsWith('get') && answer === null ? (
        <Button
          variant="default"
          onClick={() => noc.get<Message>(own).then((one) => setWhole(one.answer), failed)}
        >
          <Trans>Show the answer</Trans>
        </Button>
      ) : null}
      {message.state === 'failed' ? (
        <span className={face.note}>{message.detail || message.code}</span>
      ) : null}
      {problem ? (
        <div className={face.note}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      {answer ? <pre className={`${face.answer} mono`}>{answer}</pre> : null}
      {answer === '' && message.state === 'done' && message.name === 'getList' ? (
        <span className={`${face.note} quiet`}>
          <Trans>It knows no such appliance.</Trans>
        </span>
      ) : null}
    </li>
  )
}
