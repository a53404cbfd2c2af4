import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Select } from '@mantine/core'
import { useEffect, useMemo, useState } from 'react'
import type { ApplianceFacts } from '../applets/AppletPage.tsx'
import { AppletsPanel } from '../applets/AppletsPanel.tsx'
import { type ApplicationDraft, type ChosenAppliance, documents, secretsFor } from '../applets/settings.ts'
import { useApplication } from '../applets/useApplets.ts'
import { type Backend, toProblem } from '../backend/backend.ts'
import type { Desk } from '../backend/desk.ts'
import type { AppletPreview, AppletView, ProblemView } from '../bindings.ts'
import { ApplicationDocument } from '../components/ApplicationDocument.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { SessionProvider, useSession } from '../store/context.tsx'
import classes from './PreviewPage.module.css'
import page from './page.module.css'

/** How often the folders are looked at. */
const AGAIN_MS = 700
/** The language that applets are written in. */
const WRITTEN = 'en'

/** The applets in the folders that the command line names, as administrators will see them: for the vendor who works on them. */
export function PreviewPage({ onLeave }: { onLeave: () => void }) {
  const { t, i18n } = useLingui()
  const session = useSession()
  const desk = session.backend.desk
  const [language, setLanguage] = useState(WRITTEN)
  const [folder, setFolder] = useState<string | null>(null)
  const { previews, problem } = usePreviews(desk, language)
  const shown = previews.find((one) => one.folder === folder) ?? previews[0]
  const inner = useMemo(
    () => (desk ? { ...session, backend: previewing(session.backend, desk) } : session),
    [session, desk],
  )
  const names = new Intl.DisplayNames([i18n.locale], { type: 'language' })
  return (
    <main className={classes.page} data-testid="applet-preview" data-revision={shown?.revision ?? ''}>
      <header className={classes.head}>
        <div>
          <h1 className={classes.title}>
            <Trans>Preview of an applet</Trans>
          </h1>
          <span className={`${classes.folder} quiet mono`}>{shown?.folder}</span>
        </div>
        <div className={classes.grow} />
        {previews.length > 1 ? (
          <Select
            label={t`Folder`}
            allowDeselect={false}
            data={previews.map((one) => one.folder)}
            value={shown?.folder ?? null}
            onChange={setFolder}
          />
        ) : null}
        <Select
          label={t`Language`}
          data-testid="preview-language"
          allowDeselect={false}
          data={[...new Set([WRITTEN, ...(shown?.languages ?? []), language])].map((value) => ({
            value,
            label: nameOf(names, value),
          }))}
          value={language}
          onChange={(next) => setLanguage(next ?? WRITTEN)}
        />
        <Button variant="default" data-testid="preview-leave" onClick={onLeave}>
          <Trans>To the app</Trans>
        </Button>
      </header>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <SessionProvider session={inner}>
        {shown?.applet ? (
          <Preview
            key={`${shown.folder} ${shown.applet.name}`}
            applet={shown.applet}
            revision={`${shown.revision} ${language}`}
            language={language}
          />
        ) : null}
      </SessionProvider>
      {shown?.problem ? (
        <div className={`${classes.about} ${classes.faults}`} data-testid="preview-faults">
          <ProblemAlert problem={shown.problem} />
        </div>
      ) : null}
    </main>
  )
}

function Preview({ applet, revision, language }: { applet: AppletView; revision: string; language: string }) {
  const { t } = useLingui()
  const [draft, setDraft] = useState<ApplicationDraft>(new Map())
  const applets = useMemo(() => [applet], [applet])
  const appliances = useMemo(() => examplesFor(applet), [applet])
  const application = useApplication(NO_SITE, applets, appliances, draft)
  const [first] = appliances
  // Also while newer values are looked at, so that nothing flickers.
  const document = (first && documents(application.answered).get(first.uid)) ?? ''
  return (
    <div className={classes.body}>
      <div className={classes.about}>
        <h2>
          <Trans>What an appliance would get</Trans>
        </h2>
        {document ? (
          <>
            <ApplicationDocument text={document} secrets={secretsFor(applets, first?.model ?? '')} />
            <p className="quiet">
              {t`${new TextEncoder().encode(document).length} bytes. How many fit depends on the names of the appliance; some 600 do.`}
            </p>
          </>
        ) : (
          <span className="quiet">
            <Trans>Nothing yet: the form is not in order, or its settings are not sent.</Trans>
          </span>
        )}
        <h2>
          <Trans>Who sees it</Trans>
        </h2>
        <dl className={page.facts}>
          <dt>
            <Trans>Models</Trans>
          </dt>
          <dd>{applet.models.join(', ') || t`All`}</dd>
          <dt>
            <Trans>Its page may ask for</Trans>
          </dt>
          <dd>{applet.permissions.join(', ') || t`Nothing`}</dd>
        </dl>
        <p className="quiet">
          <Trans>
            The three appliances are made up. It is drawn anew when a file in the folder changes; what you
            filled in stays.
          </Trans>
        </p>
      </div>
      <AppletsPanel
        // The frame of its page is another one for other files.
        key={revision}
        site={NO_SITE}
        application={application}
        draft={draft}
        factsOf={(uid) => factsOf(appliances.findIndex((one) => one.uid === uid))}
        language={language}
        showAll
        onChange={setDraft}
      />
    </div>
  )
}

/** Sites begin at 1. */
const NO_SITE = 0

/** Appliances that nobody has, of a model that the applet is for. */
function examplesFor({ models }: AppletView): ChosenAppliance[] {
  const model = (models[0] ?? 'Example').replace('*', '1')
  return [1, 2, 3].map((n) => ({
    uid: `EXAMPLE${n}`,
    mac: `02:00:00:00:00:0${n}`,
    model,
    host_name: `example-${n}`,
    application: '',
  }))
}

function factsOf(index: number): ApplianceFacts | null {
  if (index < 0) return null
  return {
    domain: 'site.example',
    address: `192.0.2.${index + 11}`,
    netmask: '255.255.255.0',
    gateway: '192.0.2.1',
    dns1: '192.0.2.53',
    dns2: '',
    counters: {},
  }
}

function nameOf(names: Intl.DisplayNames, language: string): string {
  try {
    return names.of(language) ?? language
  } catch {
    return language
  }
}

/** The backend, but values are judged by what lies in the folders. */
function previewing(backend: Backend, desk: Desk): Backend {
  const judged: Pick<Backend, 'checkApplication'> = {
    checkApplication: (_, applet, values) => desk.checkPreview(applet, values),
  }
  return Object.assign(Object.create(backend) as Backend, judged)
}

/** What lies in the folders, looked at again and again. */
function usePreviews(desk: Desk | undefined, language: string) {
  const [previews, setPreviews] = useState<AppletPreview[]>([])
  const [problem, setProblem] = useState<ProblemView | null>(null)
  useEffect(() => {
    let isCurrent = true
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      try {
        const next = (await desk?.appletPreviews(language)) ?? []
        if (!isCurrent) return
        // The same applets are the same objects: what somebody is typing into must not begin anew.
        setPreviews((last) => (JSON.stringify(last) === JSON.stringify(next) ? last : next))
        setProblem(null)
      } catch (reason) {
        if (isCurrent) setProblem(toProblem(reason))
      }
      if (isCurrent) timer = setTimeout(() => void look(), AGAIN_MS)
    }
    void look()
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [desk, language])
  return { previews, problem }
}
