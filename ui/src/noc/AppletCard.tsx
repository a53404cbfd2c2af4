import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, NumberInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import type {
  AppletAuthor,
  AppletChannelName,
  LibraryApplet,
  LibraryPlace,
  LibraryVersion,
} from '../backend/nocApplets.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { usePlaces } from './places.tsx'
import { Card } from './Scaffold.tsx'
import { useFace } from './session.tsx'

interface Props {
  path: string
  applet: LibraryApplet
  authors: readonly AppletAuthor[]
  mayChange: boolean
  onDone: () => void
}

/** One applet: what its channels have, its versions, and what can be done with them. */
export function AppletCard({ path, applet, authors, mayChange, onDone }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [open, setOpen] = useState<{ version: string; what: 'release' | 'withdraw' | 'floor' } | null>(null)
  const doing = async (work: () => Promise<unknown>, said: string) => {
    try {
      await work()
      setProblem(null)
      setOpen(null)
      announce(said)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    }
  }
  const channelsOf = (version: string) => applet.channels.filter((one) => one.version === version)
  const nameOf = (key: string) => authors.find((one) => one.key === key)?.name ?? t`an author who was removed`
  return (
    <Card title={applet.title} isFlush>
      <div className={page.cardBody} data-testid={`applet-${applet.name}`}>
        <dl className={page.facts}>
          <dt>
            <Trans>Name</Trans>
          </dt>
          <dd className="mono">{applet.name}</dd>
          {applet.channels.map((one) => (
            <Channel key={one.channel} name={one.channel}>
              {one.version}
              {one.percent < 100 ? (
                <span className="quiet">
                  {' '}
                  {one.former === null
                    ? t`for ${one.percent} % of the consoles, the others have none`
                    : t`for ${one.percent} % of the consoles, ${one.former} for the others`}
                </span>
              ) : null}
            </Channel>
          ))}
          {applet.floor === null ? null : (
            <>
              <dt>
                <Trans>Lowest version</Trans>
              </dt>
              <dd>{applet.floor}</dd>
            </>
          )}
          {applet.places.length > 0 ? (
            <>
              <dt>
                <Trans>Others have</Trans>
              </dt>
              <dd>
                {applet.places.map((one) => (
                  <div key={`${one.site} ${one.console}`}>
                    <Place place={one} />
                  </div>
                ))}
              </dd>
            </>
          ) : null}
        </dl>
        {problem ? <ProblemAlert problem={problem} /> : null}
      </div>
      <ul className={face.list} data-testid={`versions-${applet.name}`}>
        {applet.versions.map((one) => {
          const is = (what: 'release' | 'withdraw' | 'floor') =>
            open?.version === one.version && open.what === what
          const is_in_use = channelsOf(one.version).length > 0
          return (
            <li key={one.version} data-testid={`version-${applet.name}-${one.version}`}>
              <span className={face.name}>{one.version}</span>
              {channelsOf(one.version).map(({ channel }) => (
                <span key={channel}>{channel === 'stable' ? t`Stable` : t`Test`}</span>
              ))}
              {one.withdrawn === null ? null : (
                <span className="warn">
                  <Trans>Withdrawn</Trans> <When at={one.withdrawn} exact />
                </span>
              )}
              <span className={page.grow} />
              <Origin version={one} author={nameOf(one.author)} />
              {mayChange && one.withdrawn === null ? (
                <>
                  <Button
                    variant="default"
                    size="compact-sm"
                    data-testid={`release-${one.version}`}
                    onClick={() => setOpen(is('release') ? null : { version: one.version, what: 'release' })}
                  >
                    <Trans>Release…</Trans>
                  </Button>
                  {is('withdraw') ? (
                    <Button
                      color="red"
                      size="compact-sm"
                      data-testid={`withdraw-sure-${one.version}`}
                      onClick={() =>
                        void doing(
                          () => noc.remove(`${path}/versions/${encodeURIComponent(one.version)}`),
                          t`Nobody gets ${one.version} any more.`,
                        )
                      }
                    >
                      <Trans>Withdraw it from everybody</Trans>
                    </Button>
                  ) : (
                    <Button
                      variant="default"
                      size="compact-sm"
                      data-testid={`withdraw-${one.version}`}
                      onClick={() => setOpen({ version: one.version, what: 'withdraw' })}
                    >
                      <Trans>Withdraw…</Trans>
                    </Button>
                  )}
                  {one.version === applet.floor || !is_in_use ? null : is('floor') ? (
                    <Button
                      color="red"
                      size="compact-sm"
                      data-testid={`floor-sure-${one.version}`}
                      onClick={() =>
                        void doing(
                          () => noc.change('PUT', `${path}/floor`, '*', { version: one.version }),
                          t`No version below ${one.version} may be used any more.`,
                        )
                      }
                    >
                      <Trans>Never go below it again</Trans>
                    </Button>
                  ) : (
                    <Button
                      variant="default"
                      size="compact-sm"
                      data-testid={`floor-${one.version}`}
                      onClick={() => setOpen({ version: one.version, what: 'floor' })}
                    >
                      <Trans>Make it the lowest…</Trans>
                    </Button>
                  )}
                </>
              ) : null}
              {is('release') ? (
                <Release
                  version={one.version}
                  onCancel={() => setOpen(null)}
                  onRelease={(channel, percent) =>
                    void doing(
                      () =>
                        noc.change('PUT', `${path}/channels/${channel}`, '*', {
                          version: one.version,
                          percent,
                        }),
                      t`${one.version} is released.`,
                    )
                  }
                />
              ) : null}
            </li>
          )
        })}
      </ul>
    </Card>
  )
}

function Channel({ name, children }: { name: AppletChannelName; children: React.ReactNode }) {
  return (
    <>
      <dt>{name === 'stable' ? <Trans>Stable</Trans> : <Trans>Test</Trans>}</dt>
      <dd data-testid={`channel-${name}`}>{children}</dd>
    </>
  )
}

function Origin({ version, author }: { version: LibraryVersion; author: string }) {
  const kib = Math.max(1, Math.round(version.bytes / 1024))
  return (
    <span className="quiet">
      {author}, <When at={version.published} exact />, <Plural value={kib} one="# KiB" other="# KiB" />
    </span>
  )
}

function Place({ place }: { place: LibraryPlace }) {
  const { t } = useLingui()
  const places = usePlaces()
  const has = { stable: t`stable`, test: t`test`, none: t`nothing` }[place.channel]
  const who = place.site === null ? t`Console ${place.console ?? 0}` : places.site(place.site)
  return (
    <>
      {who}: {has}
    </>
  )
}

interface ReleaseProps {
  version: string
  onRelease: (channel: AppletChannelName, percent: number) => void
  onCancel: () => void
}

/** Which channel has it, and for how many of the consoles. */
function Release({ version, onRelease, onCancel }: ReleaseProps) {
  const { t } = useLingui()
  const [channel, setChannel] = useState<AppletChannelName>('stable')
  const [percent, setPercent] = useState<number | string>(100)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onRelease(channel, Number(percent))
  }
  return (
    <form className={face.note} onSubmit={submit} noValidate>
      <div className={page.actions}>
        <NativeSelect
          label={t`Channel`}
          data-testid="release-channel"
          data={[
            { value: 'stable', label: t`Stable` },
            { value: 'test', label: t`Test` },
          ]}
          value={channel}
          onChange={(event) => setChannel(event.currentTarget.value === 'test' ? 'test' : 'stable')}
        />
        <NumberInput
          label={t`Part of the consoles, %`}
          data-testid="release-percent"
          allowDecimal={false}
          min={1}
          max={100}
          value={percent}
          onChange={setPercent}
        />
      </div>
      <div className={page.actions}>
        <Button type="submit" data-testid="release-go">
          <Trans>Release {version}</Trans>
        </Button>
        <Button variant="default" onClick={onCancel}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}
