import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import {
  type AddedChannel,
  type Alert,
  type Channel,
  type ChannelSpec,
  type NocProblem,
  type Organisation,
  toNocProblem,
} from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { type Draft, draftOf, NEW, specOf } from './channelFields.ts'
import face from './face.module.css'
import { Once } from './Once.tsx'
import { usePlaces } from './places.tsx'
import { useFace } from './session.tsx'
import { TargetFields } from './TargetFields.tsx'
import { ALERT_KINDS, alertKind } from './words.ts'

interface Props {
  /** The one that is changed; none for a new one. */
  channel?: Channel
  /** Whose a new one may be. */
  organisations: readonly Organisation[]
  onDone: () => void
}

/** Adds a channel, or changes one. */
export function ChannelForm({ channel, organisations, onDone }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const places = usePlaces()
  const [draft, setDraft] = useState<Draft>(channel ? draftOf(channel.channel) : NEW)
  const [organisation, setOrganisation] = useState(channel?.organisation ?? organisations[0]?.id ?? 0)
  const [secret, setSecret] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const set = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }))
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  const own = places.sites.filter((site) => site.organisation === organisation)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      const added = await save(specOf(draft), draft.password || null)
      setProblem(null)
      if (added.secret) setSecret(added.secret)
      else onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
    }
  }
  const save = async (spec: ChannelSpec, password: string | null): Promise<AddedChannel> => {
    if (!channel) return noc.post('/v1/channels', { organisation, channel: spec, password })
    const path = `/v1/channels/${channel.id}`
    // As it is now: what somebody else changed meanwhile is not written over without being seen.
    const { value, tag } = await noc.read<Channel>(path)
    if (JSON.stringify(value.channel) !== JSON.stringify(channel.channel))
      throw {
        code: 'changed_meanwhile',
        status: 412,
        message: t`Somebody else has changed this channel meanwhile.`,
        remedy: t`Close this form and look at it again.`,
        faults: [],
        lines: [],
      } satisfies NocProblem
    return (await noc.change<AddedChannel>('PUT', path, tag, { channel: spec, password })).value
  }

  if (secret)
    return (
      <Once label={t`Secret of the webhook`} secret={secret} onDone={onDone}>
        <Trans>
          The receiver checks signatures with it, as Standard Webhooks says. It is shown this once.
        </Trans>
      </Once>
    )
  return (
    <form className={page.form} onSubmit={submit} data-testid="channel-form">
      {problem ? <ProblemAlert problem={problem} /> : null}
      {channel ? null : (
        <NativeSelect
          label={t`Organisation`}
          value={String(organisation)}
          onChange={(event) => {
            setOrganisation(Number(event.currentTarget.value))
            set({ sites: [] })
          }}
          data={organisations.map((one) => ({ value: String(one.id), label: one.name }))}
        />
      )}
      <TextInput
        label={t`Name`}
        required
        withAsterisk={false}
        maxLength={64}
        data-testid="channel-name"
        value={draft.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
        error={faults.get('name')}
      />
      <TargetFields draft={draft} set={set} faults={faults} hasSecret={channel?.has_secret ?? false} />
      <fieldset className={face.choices}>
        <legend>
          <Trans>Only alerts of these sites; none for all</Trans>
        </legend>
        {own.map((site) => (
          <Checkbox
            key={site.id}
            label={String(site.policy.name)}
            checked={draft.sites.includes(site.id)}
            onChange={(event) => set({ sites: toggled(draft.sites, site.id, event.currentTarget.checked) })}
          />
        ))}
      </fieldset>
      <fieldset className={face.choices}>
        <legend>
          <Trans>Only alerts of these kinds; none for all</Trans>
        </legend>
        {ALERT_KINDS.map((kind: Alert['kind']) => (
          <Checkbox
            key={kind}
            label={alertKind(kind)}
            checked={draft.kinds.includes(kind)}
            onChange={(event) => set({ kinds: toggled(draft.kinds, kind, event.currentTarget.checked) })}
          />
        ))}
      </fieldset>
      <Checkbox
        label={t`Only alerts that nobody acknowledged in time`}
        data-testid="channel-escalations"
        checked={draft.only_escalations}
        onChange={(event) => set({ only_escalations: event.currentTarget.checked })}
      />
      {draft.kind === 'alertmanager' ? null : (
        <QuietFields draft={draft} set={set} error={faults.get('quiet')} />
      )}
      <Checkbox
        label={t`Switched on`}
        data-testid="channel-enabled"
        checked={draft.enabled}
        onChange={(event) => set({ enabled: event.currentTarget.checked })}
      />
      <div className={page.actions}>
        <Button type="submit" loading={isSaving} data-testid="channel-save">
          {channel ? <Trans>Save</Trans> : <Trans>Add</Trans>}
        </Button>
        <Button variant="default" onClick={onDone}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}

interface QuietProps {
  draft: Draft
  set: (change: Partial<Draft>) => void
  error: string | undefined
}

function QuietFields({ draft, set, error }: QuietProps) {
  const { t } = useLingui()
  return (
    <>
      <Checkbox
        label={t`Quiet hours: escalations come at once, the rest is summed up at their end`}
        data-testid="channel-quiet"
        checked={draft.isQuiet}
        onChange={(event) => set({ isQuiet: event.currentTarget.checked })}
        error={error}
      />
      {draft.isQuiet ? (
        <div className={page.pair}>
          <TextInput
            type="time"
            label={t`From`}
            required
            withAsterisk={false}
            data-testid="quiet-from"
            value={draft.quietFrom}
            onChange={(event) => set({ quietFrom: event.currentTarget.value })}
          />
          <TextInput
            type="time"
            label={t`To`}
            required
            withAsterisk={false}
            data-testid="quiet-to"
            value={draft.quietTo}
            onChange={(event) => set({ quietTo: event.currentTarget.value })}
          />
          <TextInput
            label={t`Zone: hours ahead of UTC`}
            placeholder="+01:00"
            pattern="[+\-]?[0-9]{1,2}(:[0-9]{2})?"
            required
            withAsterisk={false}
            data-testid="quiet-zone"
            value={draft.quietZone}
            onChange={(event) => set({ quietZone: event.currentTarget.value })}
          />
        </div>
      ) : null}
    </>
  )
}

function toggled<T>(all: readonly T[], one: T, isIn: boolean): T[] {
  return isIn ? [...all, one] : all.filter((other) => other !== one)
}
