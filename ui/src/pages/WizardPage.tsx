import { plural } from '@lingui/core/macro'
import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import {
  IconAlertTriangle,
  IconArrowLeft,
  IconArrowRight,
  IconListCheck,
  IconPlayerPlay,
} from '@tabler/icons-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { Link, useLocation, useNavigate } from 'react-router'
import { AppletsPanel } from '../applets/AppletsPanel.tsx'
import { factsOf } from '../applets/facts.ts'
import { type ChosenAppliance, documents, secretsFor } from '../applets/settings.ts'
import { useApplets, useApplication } from '../applets/useApplets.ts'
import { toProblem } from '../backend/backend.ts'
import type { AppletView, ApplianceRow, CellError, EditedRow, PlanView, ProblemView } from '../bindings.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import type { ReviewedApplication } from '../components/ApplicationReview.tsx'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { stepNames } from '../components/steps.ts'
import { WizardSteps } from '../components/WizardSteps.tsx'
import { checkSheet } from '../domain/settings.ts'
import { mergeErrors, takenBy, withDocuments, withPlan } from '../domain/wizard.ts'
import { useFleet, useSession } from '../store/context.tsx'
import type { Draft } from '../store/view.ts'
import classes from './WizardPage.module.css'
import { CheckStep } from './wizard/CheckStep.tsx'
import { ChooseStep } from './wizard/ChooseStep.tsx'
import { PlanStep } from './wizard/PlanStep.tsx'
import { ReviewStep } from './wizard/ReviewStep.tsx'

/** The bulk wizard up to the moment of applying; from there on the job's page shows how it goes. */
export function WizardPage() {
  const { view } = useSession()
  const sites = useFleet((s) => s.sites)
  const [site] = sites
  const location = useLocation()
  if (!view.draft) {
    const uids = uidsOf(location.state)
    if (uids.length === 0 || !site) return <NothingChosen noSite={!site && uids.length > 0} />
    view.draft = {
      site: site.id,
      uids,
      codes: new Map(),
      plan: null,
      rows: [],
      application: new Map(),
      step: 0,
    }
  }
  return <Wizard first={view.draft} />
}

function Wizard({ first }: { first: Draft }) {
  const { t } = useLingui()
  const { backend, fleet, view } = useSession()
  const navigate = useNavigate()
  const [draft, setDraft] = useState(first)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [busy, setBusy] = useState(false)
  const announce = useAnnounce()
  const [remote, setRemote] = useState<{ errors: CellError[]; rows: EditedRow[] } | null>(null)

  const change = (part: Partial<Draft>) => {
    const next = { ...draft, ...part }
    view.draft = next
    setDraft(next)
    return next
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: chosen when the wizard's list changes, not at each beat
  const chosen = useMemo(
    () =>
      draft.uids.map((uid) => fleet.appliance(uid)).filter((row): row is ApplianceRow => row !== undefined),
    [draft.uids],
  )
  const local = useMemo(() => checkSheet(draft.rows, takenBy(fleet.appliances())), [draft.rows, fleet])
  const errors = mergeErrors(local, remote?.errors ?? [], remote?.rows ?? [], draft.rows)
  const isStale = remote !== null && remote.rows !== draft.rows

  const planned = useMemo(() => plannedOf(draft), [draft])
  const { applets } = useApplets(draft.site)
  const application = useApplication(draft.site, applets, planned, draft.application)
  // What is shown stays while newer values are looked at, so that nothing flickers.
  const shown = useMemo(
    () => reviewed(draft, documents(application.answered), applets),
    [draft, application.answered, applets],
  )
  const [showAll, setShowAll] = useState(false)
  const refusedApplets = useFleet((s) => s.appletProblem)
  const lacksApplication = application.problems > 0 || application.failure !== null

  const run = async (work: () => Promise<void>) => {
    setBusy(true)
    setProblem(null)
    try {
      await work()
    } catch (reason) {
      setProblem(toProblem(reason))
    }
    setBusy(false)
  }
  const plan = (step: number) =>
    run(async () => {
      const uids = draft.uids
      const view: PlanView = await backend.plan(
        draft.site,
        uids.map((uid) => ({ uid, claim: draft.codes.get(uid) || null })),
      )
      setRemote(null)
      change({ plan: view, rows: withPlan(view, draft.rows), step })
    })
  const check = (rows: EditedRow[], goOn: boolean) =>
    run(async () => {
      setRemote(null)
      change({ step: 2 })
      const found = await backend.check(draft.site, withDocuments(rows, application.documents))
      setRemote({ errors: found, rows })
      const all = mergeErrors(local, found, rows, rows)
      if (goOn && all.length === 0) change({ step: 3 })
    })
  const apply = () =>
    run(async () => {
      const id = await backend.configure(draft.site, withDocuments(draft.rows, application.documents))
      view.draft = null
      view.selection = new Set()
      await navigate(`/jobs/${id}`, { replace: true })
    })
  const next = () => {
    if (draft.step === 0) return plan(1)
    if (draft.step === 1) {
      if (!lacksApplication) return check(draft.rows, false)
      setShowAll(true)
      const { problems } = application
      announce(plural(problems, { one: '# problem to solve', other: '# problems to solve' }))
      // Once the fields say so, at the first of them.
      setTimeout(() =>
        document.querySelector<HTMLElement>('[data-testid=applets-panel] [aria-invalid=true]')?.focus(),
      )
    }
    if (draft.step === 2 && !lacksApplication) {
      if (remote && !isStale && errors.length === 0) change({ step: 3 })
      else return check(draft.rows, true)
    }
    return undefined
  }
  const count = draft.step === 0 ? draft.uids.length : draft.rows.length
  const canGoOn =
    !busy &&
    count > 0 &&
    !(draft.step > 0 && application.checking) &&
    !(draft.step === 2 && errors.length > 0 && !isStale && remote !== null)

  const advance = useRef(() => {})
  advance.current = () => {
    // Applying asks for the button itself: nothing is sent by a key held too long.
    if (draft.step < 3 && canGoOn) void next()
  }
  useEffect(() => {
    const position = draft.step + 1
    const name = stepNames()[draft.step]
    announce(t`Step ${position} of 6: ${name}`)
  }, [draft.step, announce, t])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
      event.preventDefault()
      advance.current()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])

  return (
    <div className={classes.page} data-testid="wizard" data-step={draft.step}>
      <header className={classes.head}>
        <h1 className={classes.title}>
          <Plural value={count} one="Configure # appliance" other="Configure # appliances" />
        </h1>
        <WizardSteps active={draft.step} onStep={(step) => step < draft.step && change({ step })} />
      </header>
      <div className={classes.body}>
        {draft.step === 0 ? <ChooseStep draft={draft} rows={chosen} onChange={change} /> : null}
        {draft.step === 1 && draft.plan ? (
          <PlanStep
            draft={draft}
            plan={draft.plan}
            errors={local}
            onChange={change}
            onPlanAgain={() => plan(1)}
            busy={busy}
            documents={shown}
          />
        ) : null}
        {draft.step === 1 && draft.plan ? (
          <AppletsPanel
            site={draft.site}
            application={application}
            draft={draft.application}
            factsOf={(uid) => factsOf(fleet.appliance(uid))}
            showAll={showAll}
            onChange={(next) => change({ application: next })}
          />
        ) : null}
        {draft.step === 2 && draft.plan ? (
          <CheckStep
            draft={draft}
            plan={draft.plan}
            errors={errors}
            checking={busy}
            stale={isStale}
            onChange={change}
          />
        ) : null}
        {draft.step === 3 && draft.plan ? (
          <ReviewStep draft={draft} plan={draft.plan} application={application} documents={shown} />
        ) : null}
      </div>
      {refusedApplets && draft.step === 1 ? (
        <div className={classes.problem}>
          <ProblemAlert problem={refusedApplets} />
        </div>
      ) : null}
      {draft.step > 1 && lacksApplication ? (
        <div className={classes.notice} role="alert" data-testid="application-lacks">
          <IconAlertTriangle size={16} aria-hidden />
          <div>
            <Trans>
              Settings of an applet are not in order, perhaps because there is a new version of it.
            </Trans>{' '}
            <Button size="compact-xs" ml={6} onClick={() => change({ step: 1 })}>
              <Trans>Look at them</Trans>
            </Button>
          </div>
        </div>
      ) : null}
      {problem ? (
        <div className={classes.problem}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      <footer className={classes.foot}>
        <Button component={Link} to="/" variant="subtle" color="gray">
          {draft.step === 0 ? <Trans>Cancel</Trans> : <Trans>Close, keep for later</Trans>}
        </Button>
        <div className={classes.grow} />
        {draft.step > 0 ? (
          <Button
            variant="default"
            data-testid="wizard-back"
            leftSection={<IconArrowLeft size={15} aria-hidden />}
            onClick={() => change({ step: draft.step - 1 })}
          >
            <Trans>Back</Trans>
          </Button>
        ) : null}
        {draft.step < 3 ? (
          <Button
            data-testid="wizard-next"
            loading={busy}
            disabled={!canGoOn}
            rightSection={<IconArrowRight size={15} aria-hidden />}
            onClick={() => void next()}
          >
            {draft.step === 2 && isStale ? <Trans>Check again</Trans> : <Trans>Next</Trans>}
          </Button>
        ) : (
          <Button
            data-testid="wizard-apply"
            loading={busy}
            // Never without the settings that were seen.
            disabled={application.checking || lacksApplication}
            leftSection={<IconPlayerPlay size={15} aria-hidden />}
            onClick={() => void apply()}
          >
            <Plural value={count} one="Configure # appliance" other="Configure # appliances" />
          </Button>
        )}
      </footer>
    </div>
  )
}

/** The appliances that are configured, with the names that they get. */
function plannedOf({ plan, rows }: Draft): ChosenAppliance[] {
  const known = new Map(plan?.rows.map((row) => [row.uid, row]))
  return rows.flatMap(({ uid, settings }) => {
    const row = known.get(uid)
    if (!row) return []
    const { mac, model, current } = row
    // What it is to get, or else what it has.
    const application = settings.application ?? current.application ?? ''
    return [{ uid, mac, model, host_name: settings.host_name, application }]
  })
}

/** The application settings of each, as they are and as they will be. */
function reviewed(
  { plan, rows }: Draft,
  documents: ReadonlyMap<string, string>,
  applets: readonly AppletView[],
): ReviewedApplication[] {
  const known = new Map(plan?.rows.map((row) => [row.uid, row]))
  return rows.flatMap(({ uid, settings }): ReviewedApplication[] => {
    const row = known.get(uid)
    if (!row) return []
    const after = documents.get(uid) ?? settings.application ?? ''
    const secrets = secretsFor(applets, row.model)
    const name = settings.host_name || row.mac
    return [{ uid, name, before: row.current.application ?? '', after, secrets }]
  })
}

function NothingChosen({ noSite }: { noSite: boolean }) {
  const { t } = useLingui()
  return (
    <Empty
      icon={<IconListCheck size={30} />}
      title={noSite ? t`There is no site yet` : t`No appliances chosen`}
      action={
        <Button component={Link} to="/" variant="default">
          <Trans>To the appliances</Trans>
        </Button>
      }
    >
      {noSite ? (
        <Trans>The NOC has no site that this console may configure. Ask its administrator to add one.</Trans>
      ) : (
        <Trans>Choose appliances in the grid, then press Configure.</Trans>
      )}
    </Empty>
  )
}

function uidsOf(state: unknown): string[] {
  if (typeof state !== 'object' || state === null || !('uids' in state) || !Array.isArray(state.uids))
    return []
  return state.uids.filter((uid) => typeof uid === 'string')
}
