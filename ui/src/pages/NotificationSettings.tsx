import { t as text } from '@lingui/core/macro'
import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, Group, Stack, Switch, Text, TextInput } from '@mantine/core'
import { type FormEvent, useCallback, useEffect, useId, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { Desk } from '../backend/desk.ts'
import type {
  NotificationState,
  ProblemView,
  QuietHours,
  RowAlertKind,
  DoNotDisturb as Setting,
  NotificationSettings as Settings,
} from '../bindings.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { alertName } from '../components/badge.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { clock, type Length, minutesOf, switchedAt } from '../domain/quiet.ts'
import { absolute } from '../domain/time.ts'
import { useFleet, useSession } from '../store/context.tsx'
import page from './page.module.css'

const KINDS: readonly RowAlertKind[] = ['silent', 'never_reported', 'site', 'unstable', 'failing']
const NIGHT: QuietHours = { from: 22 * 60, to: 6 * 60, days: [0, 1, 2, 3, 4, 5, 6] }

/** What is told on this desktop, and when. Only a desktop has it. */
export function NotificationSettings() {
  const { backend } = useSession()
  return backend.desk ? <Card desk={backend.desk} /> : null
}

function Card({ desk }: { desk: Desk }) {
  const { t } = useLingui()
  const [state, setState] = useState<NotificationState | null>(null)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const load = useCallback(async () => {
    try {
      setState(await desk.notifications())
      setProblem(null)
    } catch (reason) {
      setProblem(toProblem(reason))
    }
  }, [desk])
  useEffect(() => {
    void load()
  }, [load])
  const after = async (done: Promise<void>) => {
    try {
      await done
    } catch (reason) {
      setProblem(toProblem(reason))
      return false
    }
    await load()
    return true
  }
  return (
    <section className={page.card} aria-label={t`Notifications`} data-testid="notification-settings">
      <div className={page.cardHead}>
        <h2>
          <Trans>Notifications</Trans>
        </h2>
      </div>
      <div className={page.cardBody}>
        <Stack gap="md">
          {problem ? <ProblemAlert problem={problem} /> : null}
          {state?.note ? (
            <Text size="sm" role="status" data-testid="notification-note">
              {state.note}
            </Text>
          ) : null}
          {state ? (
            <>
              <DoNotDisturb state={state} choose={(setting) => void after(desk.doNotDisturb(setting))} />
              <Filters state={state} save={(settings) => after(desk.setNotifications(settings))} />
            </>
          ) : null}
        </Stack>
      </div>
    </section>
  )
}

function DoNotDisturb({ state, choose }: { state: NotificationState; choose: (setting: Setting) => void }) {
  const { t, i18n } = useLingui()
  const { settings, quiet, quiet_until } = state
  const chosen = (length: Length) => () => choose(switchedAt(length, new Date()))
  const isSwitched = quiet && settings.do_not_disturb.kind !== 'off'
  return (
    <div>
      <Text size="sm" mb={6} data-testid="quiet-state">
        {!quiet ? (
          <Trans>Notifications are shown.</Trans>
        ) : quiet_until !== null ? (
          <Trans>Nothing is shown until {absolute(quiet_until, i18n.locale)}. The tray still counts.</Trans>
        ) : (
          <Trans>Nothing is shown until you switch it off. The tray still counts.</Trans>
        )}
      </Text>
      <Group gap="xs" role="group" aria-label={t`Do not disturb`}>
        <Button size="compact-sm" variant="default" onClick={chosen('hour')} data-testid="quiet-hour">
          <Trans>Not for 1 hour</Trans>
        </Button>
        <Button size="compact-sm" variant="default" onClick={chosen('tomorrow')}>
          <Trans>Not until tomorrow, 8:00</Trans>
        </Button>
        <Button size="compact-sm" variant="default" onClick={chosen('on')} data-testid="quiet-on">
          <Trans>Not until switched off</Trans>
        </Button>
        {isSwitched ? (
          <Button size="compact-sm" onClick={chosen('off')} data-testid="quiet-off">
            <Trans>Notify again</Trans>
          </Button>
        ) : null}
      </Group>
    </div>
  )
}

interface FiltersProps {
  state: NotificationState
  /** False when it was refused; why is shown. */
  save: (settings: Settings) => Promise<boolean>
}

function Filters({ state, save }: FiltersProps) {
  const { t } = useLingui()
  const { fleet } = useSession()
  const announce = useAnnounce()
  const sites = useFleet((s) => s.sites)
  const [draft, setDraft] = useState(state.settings)
  const [saving, setSaving] = useState(false)
  const change = (changed: Partial<Settings>) => setDraft({ ...draft, ...changed })
  const models = [
    ...new Set([...[...fleet.appliances()].map((row) => row.model), ...draft.muted_models].filter(Boolean)),
  ].sort()
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    if (await save(draft)) announce(t`Saved`)
    setSaving(false)
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Hours hours={draft.quiet_hours} onChange={(quiet_hours) => change({ quiet_hours })} />
        <Chosen
          label={t`Kinds of alerts`}
          all={KINDS.map((kind) => ({ value: kind, name: alertName({ kind, rule: '' }) }))}
          muted={draft.muted_kinds}
          onChange={(muted_kinds) => change({ muted_kinds })}
        />
        <Chosen
          label={t`Sites`}
          all={sites.map(({ id, name }) => ({ value: id, name }))}
          muted={draft.muted_sites}
          onChange={(muted_sites) => change({ muted_sites })}
        />
        <Chosen
          label={t`Models`}
          all={models.map((model) => ({ value: model, name: model }))}
          muted={draft.muted_models}
          onChange={(muted_models) => change({ muted_models })}
        />
        <Switch
          label={t`With a sound`}
          description={soundWords(state.sound)}
          checked={draft.sound}
          onChange={(event) => change({ sound: event.currentTarget.checked })}
          data-testid="sound"
        />
        <Group>
          <Button type="submit" loading={saving} data-testid="notification-save">
            <Trans>Save</Trans>
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function soundWords(sound: NotificationState['sound']): string {
  switch (sound) {
    case 'service':
      return text`Your desktop plays it.`
    case 'player':
      return text`Your desktop's notifications have none, so a program of this computer plays it.`
    case 'nobody':
      return text`Nothing on this computer can play it: neither its notifications nor a player (canberra-gtk-play, pw-play, paplay, ffplay) with the freedesktop sounds.`
  }
}

function Hours({
  hours,
  onChange,
}: {
  hours: QuietHours | null
  onChange: (hours: QuietHours | null) => void
}) {
  const { t, i18n } = useLingui()
  const weekday = new Intl.DateTimeFormat(i18n.locale, { weekday: 'short', timeZone: 'UTC' })
  // 2024-01-01 was a Monday.
  const days = [0, 1, 2, 3, 4, 5, 6].map((day) => weekday.format(Date.UTC(2024, 0, 1 + day)))
  return (
    <Stack gap="xs">
      <Switch
        label={t`Quiet hours`}
        description={t`Local time. At their end, one notification sums up what opened and is still open.`}
        checked={hours !== null}
        onChange={(event) => onChange(event.currentTarget.checked ? NIGHT : null)}
        data-testid="quiet-hours"
      />
      {hours ? (
        <>
          <Group gap="xs">
            <Time
              label={t`From`}
              value={hours.from}
              onChange={(from) => onChange({ ...hours, from })}
              testid="quiet-from"
            />
            <Time
              label={t`To`}
              value={hours.to}
              onChange={(to) => onChange({ ...hours, to })}
              testid="quiet-to"
            />
          </Group>
          <Group gap="xs" role="group" aria-label={t`Days on which they begin`}>
            {days.map((name, day) => (
              <Checkbox
                key={name}
                label={name}
                size="xs"
                checked={hours.days.includes(day)}
                onChange={() => onChange({ ...hours, days: toggled(hours.days, day) })}
                data-testid={`quiet-day-${day}`}
              />
            ))}
          </Group>
        </>
      ) : null}
    </Stack>
  )
}

function Time(props: { label: string; value: number; onChange: (minutes: number) => void; testid: string }) {
  return (
    <TextInput
      type="time"
      label={props.label}
      value={clock(props.value)}
      data-testid={props.testid}
      onChange={(event) => {
        const minutes = minutesOf(event.currentTarget.value)
        if (minutes !== null) props.onChange(minutes)
      }}
    />
  )
}

/** What is ticked is told; what is not is kept, so that something new is told by itself. */
function Chosen<T extends string | number>({
  label,
  all,
  muted,
  onChange,
}: {
  label: string
  all: { value: T; name: string }[]
  muted: T[]
  onChange: (muted: T[]) => void
}) {
  const id = useId()
  if (all.length === 0) return null
  return (
    <div>
      <Text size="sm" fw={550} id={id} mb={4}>
        {label}
      </Text>
      <Group gap="sm" role="group" aria-labelledby={id}>
        {all.map(({ value, name }) => (
          <Checkbox
            key={value}
            label={name}
            size="xs"
            checked={!muted.includes(value)}
            onChange={() => onChange(toggled(muted, value))}
            data-testid={`tell-${value}`}
          />
        ))}
      </Group>
    </div>
  )
}

function toggled<T>(list: T[], value: T): T[] {
  return list.includes(value) ? list.filter((other) => other !== value) : [...list, value]
}
