import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Anchor, Button, CopyButton } from '@mantine/core'
import {
  IconAlertTriangle,
  IconArrowLeft,
  IconCopy,
  IconQuestionMark,
  IconSettingsAutomation,
  IconVolume,
  IconVolumeOff,
} from '@tabler/icons-react'
import { type ReactNode, useCallback, useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { toProblem } from '../backend/backend.ts'
import type { ApplianceRow, HostView, ProblemView } from '../bindings.ts'
import { healthBadge, stateBadge } from '../components/badge.ts'
import { Empty } from '../components/Empty.tsx'
import { fieldName } from '../components/fields.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { LISTED } from '../domain/lists.ts'
import { span } from '../domain/time.ts'
import { useFleet, useSession } from '../store/context.tsx'
import classes from './AppliancePage.module.css'
import { ApplicationCard, ApplicationFacts } from './ApplicationCard.tsx'
import { BeatHistory } from './BeatHistory.tsx'
import page from './page.module.css'

/** One appliance: what it has, how it is, and its last day. */
export function AppliancePage() {
  const { uid = '' } = useParams()
  const { fleet } = useSession()
  const row = useFleet(() => fleet.appliance(uid))
  const isReady = useFleet((s) => s.ready)
  return (
    <div className={page.page} data-testid="appliance-page">
      <Button
        component={Link}
        to="/"
        variant="subtle"
        color="gray"
        ml={-10}
        mb={4}
        leftSection={<IconArrowLeft size={15} aria-hidden />}
      >
        <Trans>Appliances</Trans>
      </Button>
      {row ? (
        <Details row={row} />
      ) : isReady ? (
        <Empty icon={<IconQuestionMark size={28} />} title={<Trans>This appliance is not known here</Trans>}>
          <Trans>
            Neither this network nor the NOC has an appliance with the UID <span className="mono">{uid}</span>
            . Run a discovery to look for it.
          </Trans>
        </Empty>
      ) : null}
    </div>
  )
}

function Details({ row }: { row: ApplianceRow }) {
  const { t, i18n } = useLingui()
  const { backend, start, view } = useSession()
  const beats = useCallback((since: number) => backend.beats(row.uid, since), [backend, row.uid])
  const navigate = useNavigate()
  const sites = useFleet((s) => s.sites)
  const { settings, values } = row
  const isConfigured = settings.address !== ''
  // A newer agent may know more of them.
  const names: Record<string, string> = {
    address: t`Address`,
    gateway: t`Gateway`,
    route: t`Routes`,
    host_name: t`Host name`,
    resolver: t`Name servers`,
    time_servers: t`Time servers`,
    network_file: t`Network at boot`,
  }
  const setting = (word: string) => names[word] ?? word
  const percent = (value: number) => i18n.number(value / 100, { style: 'percent', maximumFractionDigits: 0 })
  const unit = (value: number, unit: string) =>
    i18n.number(value, { style: 'unit', unit, maximumFractionDigits: 1 })
  /** What this appliance has a value for. */
  const hostFacts = (host: HostView): Fact[] => [
    ...(host.disks.length > 1
      ? host.disks.map((disk): Fact => [t`Disk ${disk.mount}`, percent(disk.percent)])
      : []),
    ...(host.temperature_c === null
      ? []
      : [[t`Temperature`, unit(host.temperature_c, 'celsius')] satisfies Fact]),
    ...(host.interface_errors === null
      ? []
      : [[t`Interface errors`, i18n.number(host.interface_errors)] satisfies Fact]),
    ...(host.clock_offset_s === null ? [] : [[t`Clock`, clock(host.clock_offset_s)] satisfies Fact]),
    [t`Agent`, host.agent_mib === null ? host.agent : `${host.agent}, ${host.agent_mib} MiB`],
  ]
  const clock = (ahead: number) => {
    // Half a second of the network and of rounding each way.
    if (Math.abs(ahead) <= 2) return t`Right`
    const by = span(Math.abs(ahead), i18n.locale)
    return ahead > 0 ? t`${by} ahead of the NOC` : t`${by} behind the NOC`
  }
  return (
    <>
      <header className={classes.head}>
        <div className={classes.names}>
          <h1 className={page.title}>{settings.host_name || row.mac}</h1>
          <div className="quiet">
            {settings.host_name ? `${settings.host_name}.${settings.domain}` : row.model}
          </div>
        </div>
        <StatusBadge badge={stateBadge(row.state)} />
        {row.health === 'not_expected' ? null : <StatusBadge badge={healthBadge(row.health)} />}
        <div className={page.grow} />
        {start.capabilities.practice && row.state === 'configured' ? <SilenceButton uid={row.uid} /> : null}
        <Button
          variant={isConfigured ? 'default' : 'filled'}
          data-testid="appliance-configure"
          leftSection={<IconSettingsAutomation size={16} aria-hidden />}
          onClick={() => {
            view.draft = null
            void navigate('/configure', { state: { uids: [row.uid] } })
          }}
        >
          {isConfigured ? <Trans>Configure again…</Trans> : <Trans>Configure…</Trans>}
        </Button>
      </header>
      {row.conflicts.length > 0 ? (
        <div className={classes.conflicts} role="alert">
          <IconAlertTriangle size={18} aria-hidden />
          <div>
            <strong>
              <Plural value={row.conflicts.length} one="# conflict" other="# conflicts" />
            </strong>{' '}
            {/* Not `Trans`: it would take markup in a value for one of its own elements. */}
            {t`It shares what should be its own: ${row.conflicts.join('; ')}.`}{' '}
            {row.conflicts.some((one) => one.startsWith('MAC '))
              ? t`One of those with the same MAC is a copy or an impostor: compare their UIDs with the labels.`
              : t`Configure one of them anew.`}
          </div>
        </div>
      ) : null}
      <div className={page.cards}>
        <Card title={<Trans>Settings</Trans>}>
          {isConfigured ? (
            <Facts
              facts={[
                [t`Host name`, settings.host_name],
                [t`Domain`, settings.domain],
                [t`IP`, settings.address],
                [t`Netmask`, settings.netmask],
                [t`Gateway`, settings.gateway],
                ...(settings.address6
                  ? ([
                      [t`IPv6`, settings.address6],
                      [t`IPv6 gateway`, settings.gateway6],
                    ] satisfies Fact[])
                  : []),
                [t`DNS 1`, settings.dns1],
                [t`DNS 2`, settings.dns2],
                ...LISTED.filter((name) => settings[name]).map(
                  (name) => [fieldName(name), settings[name]] satisfies Fact,
                ),
              ]}
            />
          ) : (
            <span className="quiet">
              <Trans>It has no settings yet.</Trans>
            </span>
          )}
        </Card>
        <ApplicationFacts row={row} />
        <Card title={<Trans>Identity</Trans>}>
          <Facts
            facts={[
              [t`UID`, <Copyable key="uid" text={row.uid} />],
              [t`MAC`, <Copyable key="mac" text={row.mac} />],
              [t`Maker`, row.mac_is_local ? t`Locally administered address, no maker` : row.maker],
              [t`Model`, row.model],
              [t`Serial number`, row.serial],
              [t`Site`, sites.find((site) => site.id === row.site)?.name ?? ''],
              [
                t`Heard at`,
                row.heard
                  ? row.heard_at.map((at) => (
                      <div key={at} className="mono">
                        {at}
                      </div>
                    ))
                  : t`Not heard on this network`,
              ],
            ]}
          />
        </Card>
        <Card title={<Trans>Last values</Trans>}>
          {row.last_beat !== null && values ? (
            <Facts
              facts={[
                [t`Last beat`, <When key="at" at={row.last_beat} exact />],
                [t`Running for`, span(values.uptime_s, i18n.locale)],
                [t`Load`, i18n.number(values.load, { maximumFractionDigits: 2, minimumFractionDigits: 2 })],
                [t`Memory`, percent(values.memory_percent)],
                [t`Disk`, percent(values.disk_percent)],
                ...(values.drift.length > 0
                  ? [[t`Changed by hand`, values.drift.map(setting).join(', ')] satisfies Fact]
                  : []),
                ...(values.address_conflict !== null
                  ? [[t`Address also claimed by`, values.address_conflict] satisfies Fact]
                  : []),
                ...(values.network_problem !== null
                  ? [[t`Settings not in force`, values.network_problem] satisfies Fact]
                  : []),
                ...hostFacts(values.host),
                ...Object.entries(values.counters).map(([name, value]): Fact => [name, i18n.number(value)]),
              ]}
            />
          ) : (
            <span className="quiet">
              {isConfigured ? (
                <Trans>
                  It has not reported yet. Its first beat comes within a minute after the kick-start.
                </Trans>
              ) : (
                <Trans>It reports once it is configured.</Trans>
              )}
            </span>
          )}
        </Card>
      </div>
      <ApplicationCard row={row} />
      {isConfigured ? <BeatHistory load={beats} lastBeat={row.last_beat} /> : null}
    </>
  )
}

/** Cuts this appliance of the practice fleet off, or lets it speak again. */
function SilenceButton({ uid }: { uid: string }) {
  const { backend, start } = useSession()
  const [silent, setSilent] = useState(start.knobs.silent)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const isSilent = silent.includes(uid)
  const toggle = async () => {
    const next = isSilent ? silent.filter((other) => other !== uid) : [...silent, uid]
    try {
      await backend.setKnobs({ ...start.knobs, silent: next })
      start.knobs = { ...start.knobs, silent: next }
      setSilent(next)
    } catch (reason) {
      setProblem(toProblem(reason))
    }
  }
  if (problem) return <ProblemAlert problem={problem} />
  return (
    <Button
      variant="default"
      data-testid="appliance-silence"
      leftSection={isSilent ? <IconVolume size={16} aria-hidden /> : <IconVolumeOff size={16} aria-hidden />}
      onClick={() => void toggle()}
    >
      {isSilent ? <Trans>Practice: let it speak</Trans> : <Trans>Practice: silence</Trans>}
    </Button>
  )
}

function Card({ title, children }: { title: ReactNode; children: ReactNode }) {
  return (
    <section className={page.card}>
      <div className={page.cardHead}>
        <h2>{title}</h2>
      </div>
      <div className={page.cardBody}>{children}</div>
    </section>
  )
}

type Fact = [label: string, value: ReactNode]

function Facts({ facts }: { facts: Fact[] }) {
  return (
    <dl className={page.facts}>
      {facts.map(([label, value]) => (
        <div key={label} className={classes.fact}>
          <dt>{label}</dt>
          <dd>{value || <span className="quiet">–</span>}</dd>
        </div>
      ))}
    </dl>
  )
}

function Copyable({ text }: { text: string }) {
  const { t } = useLingui()
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Anchor
          component="button"
          type="button"
          size="sm"
          c="inherit"
          underline="never"
          ta="left"
          onClick={copy}
          title={t`Copy`}
        >
          <span className="mono">{text}</span>{' '}
          <span className="quiet">
            {copied ? (
              <Trans>copied</Trans>
            ) : (
              <IconCopy size={13} aria-label={t`Copy`} style={{ verticalAlign: -2 }} />
            )}
          </span>
        </Anchor>
      )}
    </CopyButton>
  )
}
