import { Trans, useLingui } from '@lingui/react/macro'
import { Button, FileButton, NativeSelect } from '@mantine/core'
import { IconPuzzle, IconUpload } from '@tabler/icons-react'
import { useCallback, useRef, useState } from 'react'
import { useSearchParams } from 'react-router'
import { type NocProblem, type Page, toNocProblem } from '../backend/noc.ts'
import {
  type AppletAuthor,
  type AppletChannelName,
  type LibraryApplet,
  LONGEST_BUNDLE,
  toBase64,
} from '../backend/nocApplets.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { AppletAuthors } from './AppletAuthors.tsx'
import { AppletCard } from './AppletCard.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import { Card } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('applet', 'applet_author')

/** What an organisation's consoles are sent to adapt themselves: versions, channels, releases, and whose. */
export function AppletsPage() {
  const { t } = useLingui()
  const { me } = useFace()
  const places = usePlaces()
  const [params, setParams] = useSearchParams()
  // An organisation's applets are seen by whoever sees all of it.
  const seen = places.organisations.filter((one) => may(me.operator, 'viewer', one.id))
  const wanted = Number(params.get('organisation') ?? 0)
  const shown = seen.find((one) => one.id === wanted) ?? seen[0]
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Applets</Trans>
        </h1>
        <div className={page.grow} />
        {seen.length > 1 ? (
          <NativeSelect
            aria-label={t`Organisation`}
            data={seen.map(({ id, name }) => ({ value: String(id), label: name }))}
            value={String(shown?.id ?? '')}
            onChange={(event) => setParams({ organisation: event.currentTarget.value }, { replace: true })}
          />
        ) : null}
      </header>
      {shown ? <Library key={shown.id} organisation={shown.id} /> : null}
      {places.organisations.length > 0 && !shown ? (
        <Empty icon={<IconPuzzle size={28} />} title={<Trans>You see no organisation’s applets</Trans>}>
          <Trans>They are seen by who sees all of an organisation, not only some of its sites.</Trans>
        </Empty>
      ) : null}
    </div>
  )
}

interface Shown {
  applets: LibraryApplet[]
  authors: AppletAuthor[]
}

function Library({ organisation }: { organisation: number }) {
  const { noc, me } = useFace()
  const path = `/v1/organisations/${organisation}`
  const mayChange = may(me.operator, 'administrator', organisation)
  const load = useCallback(async (): Promise<Shown> => {
    const [applets, authors] = await Promise.all([
      noc.get<Page<LibraryApplet>>(`${path}/applets`),
      noc.get<Page<AppletAuthor>>(`${path}/applet-authors`),
    ])
    return { applets: applets.items, authors: authors.items }
  }, [noc, path])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  return (
    <div className={face.stack}>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {value && mayChange ? <Upload path={`${path}/applets`} onDone={reload} /> : null}
      {value && value.applets.length === 0 ? (
        <Empty icon={<IconPuzzle size={28} />} title={<Trans>No applets yet</Trans>}>
          <Trans>
            An applet adds a vendor’s form, help and page to the wizard of consoles. Without one the wizard is
            the built-in one.
          </Trans>
        </Empty>
      ) : null}
      {value?.applets.map((applet) => (
        <AppletCard
          key={applet.name}
          path={`${path}/applets/${encodeURIComponent(applet.name)}`}
          applet={applet}
          authors={value.authors}
          mayChange={mayChange}
          onDone={reload}
        />
      ))}
      {value ? (
        <AppletAuthors
          path={`${path}/applet-authors`}
          authors={value.authors}
          mayChange={mayChange}
          onDone={reload}
        />
      ) : null}
    </div>
  )
}

/** Takes in a file that `muster applet sign` wrote. */
function Upload({ path, onDone }: { path: string; onDone: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [channel, setChannel] = useState<AppletChannelName>('test')
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const reset = useRef<() => void>(null)
  const refused = (code: string, message: string, remedy: string) =>
    setProblem({ code, message, remedy, status: 0, faults: [], lines: [] })
  const send = async (file: File | null) => {
    if (!file) return
    // What was refused may be chosen once more.
    reset.current?.()
    setProblem(null)
    if (file.size > LONGEST_BUNDLE) {
      refused(
        'file_too_long',
        t`The file ${file.name} is longer than an applet may be.`,
        t`Choose what “muster applet sign” wrote.`,
      )
      return
    }
    setBusy(true)
    try {
      const bytes = new Uint8Array(await file.arrayBuffer())
      const { title } = await noc.post<LibraryApplet>(path, { bundle: toBase64(bytes), channel })
      announce(t`${title} is published.`)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card title={t`Publish a version`}>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div className={`${page.actions} ${face.level}`}>
        <NativeSelect
          label={t`Offered on`}
          data-testid="applet-publish-channel"
          data={[
            { value: 'test', label: t`Test: who tries things first` },
            { value: 'stable', label: t`Stable: everybody` },
          ]}
          value={channel}
          onChange={(event) => setChannel(event.currentTarget.value === 'stable' ? 'stable' : 'test')}
        />
        <FileButton
          resetRef={reset}
          onChange={(file) => void send(file)}
          inputProps={{ 'aria-label': t`Signed applet`, 'data-testid': 'applet-file' } as object}
        >
          {(props) => (
            <Button {...props} loading={isBusy} leftSection={<IconUpload size={15} aria-hidden />}>
              <Trans>Choose a signed applet…</Trans>
            </Button>
          )}
        </FileButton>
      </div>
      <p className="quiet">
        <Trans>Its author must be among those below. Consoles have it within seconds.</Trans>
      </p>
    </Card>
  )
}
