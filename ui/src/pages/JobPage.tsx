import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Progress } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import {
  IconCircleCheck,
  IconDownload,
  IconPlayerStop,
  IconQuestionMark,
  IconRefresh,
} from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { toProblem } from '../backend/backend.ts'
import type { ProblemView } from '../bindings.ts'
import { Empty } from '../components/Empty.tsx'
import { jobColumns } from '../components/grid/jobColumns.ts'
import { TableGrid } from '../components/grid/TableGrid.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { WizardSteps } from '../components/WizardSteps.tsx'
import { failuresOf, summarise } from '../domain/job.ts'
import { useFleet, useSession } from '../store/context.tsx'
import { isRunning, type Job } from '../store/fleet.ts'
import classes from './JobPage.module.css'
import wizard from './WizardPage.module.css'

/** A job: how it goes, appliance by appliance, then what became of it. */
export function JobPage() {
  const id = Number(useParams().id)
  const job = useFleet((s) => s.jobs).find((one) => one.id === id)
  const isReady = useFleet((s) => s.ready)
  if (job) return <Progressing job={job} />
  if (!isReady) return null
  return (
    <Empty
      icon={<IconQuestionMark size={30} />}
      title={<Trans>There is no job {id}</Trans>}
      action={
        <Button component={Link} to="/" variant="default">
          <Trans>To the appliances</Trans>
        </Button>
      }
    />
  )
}

function Progressing({ job }: { job: Job }) {
  const { t, i18n } = useLingui()
  const { backend } = useSession()
  const navigate = useNavigate()
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const rows = useMemo(() => [...job.items.values()], [job.items])
  const sum = summarise(job)
  const running = isRunning(job)
  const columns = useMemo(() => jobColumns(running), [running])
  const failed = rows.filter((item) => item.step === 'failed').map((item) => item.uid)
  const act = (promise: Promise<unknown>) => {
    setProblem(null)
    promise.catch((reason: unknown) => setProblem(toProblem(reason)))
  }
  const save = async () => {
    const path = await backend.exportJob(job.id)
    if (path) notifications.show({ message: t`Saved to ${path}`, color: 'green' })
  }
  return (
    <div className={wizard.page} data-testid="job" data-running={running}>
      <header className={wizard.head}>
        <h1 className={wizard.title}>
          <Plural value={sum.total} one="Configure # appliance" other="Configure # appliances" />
        </h1>
        <WizardSteps active={running ? 4 : 6} />
      </header>
      <div className={classes.overall} data-testid="wizard-progress">
        <Progress.Root size={8} aria-label={t`Progress`}>
          <Progress.Section
            value={100 * (running ? sum.part : sum.configured / Math.max(1, sum.total))}
            color={running ? 'indigo' : 'green'}
            aria-label={t`Progress`}
          />
          {running ? null : (
            <Progress.Section
              value={(100 * sum.failed) / Math.max(1, sum.total)}
              color="red"
              aria-label={t`Failed`}
            />
          )}
        </Progress.Root>
        <div className={classes.counts}>
          {running ? (
            <span>
              <b>
                {i18n.number(sum.done)} / {i18n.number(sum.total)}
              </b>{' '}
              <Trans>done</Trans>
              {sum.failed > 0 ? (
                <span className={classes.bad}>
                  {' · '}
                  <Trans>{sum.failed} failed</Trans>
                </span>
              ) : null}
              {job.cancelled ? (
                <span className="quiet">
                  {' · '}
                  <Trans>cancelled; appliances in the middle are finished first</Trans>
                </span>
              ) : null}
            </span>
          ) : (
            <span className={classes.summary}>
              {sum.failed === 0 && sum.cancelled === 0 ? (
                <IconCircleCheck size={20} aria-hidden className={classes.good} />
              ) : null}
              <span>
                <b data-testid="summary-configured">{sum.configured}</b> <Trans>configured</Trans>
              </span>
              <span className={sum.failed > 0 ? classes.bad : 'quiet'}>
                <b data-testid="summary-failed">{sum.failed}</b> <Trans>failed</Trans>
              </span>
              {sum.cancelled > 0 ? (
                <span className="quiet">
                  <b>{sum.cancelled}</b> <Trans>cancelled</Trans>
                </span>
              ) : null}
            </span>
          )}
        </div>
      </div>
      {running ? null : <Failures job={job} />}
      {problem ? (
        <div className={wizard.problem}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      <div className={wizard.gridBox}>
        <TableGrid
          label={t`Appliances of the job`}
          rows={rows}
          idOf={(item) => item.uid}
          columns={columns}
          onOpen={(item) => void navigate(`/appliances/${item.uid}`)}
        />
      </div>
      <footer className={wizard.foot}>
        {running ? (
          <span className="quiet">
            <Trans>
              You may leave this page: the job goes on, even when Muster is closed and opened again.
            </Trans>
          </span>
        ) : null}
        <div className={wizard.grow} />
        {running && !job.cancelled ? (
          <Button
            variant="default"
            data-testid="job-cancel"
            leftSection={<IconPlayerStop size={15} aria-hidden />}
            onClick={() => act(backend.cancelJob(job.id))}
          >
            <Trans>Cancel what has not begun</Trans>
          </Button>
        ) : null}
        {failed.length > 0 ? (
          <Button
            variant={running ? 'default' : 'filled'}
            data-testid="job-retry"
            leftSection={<IconRefresh size={15} aria-hidden />}
            onClick={() => act(backend.retryJob(job.id, failed))}
          >
            <Plural value={failed.length} one="Retry # that failed" other="Retry # that failed" />
          </Button>
        ) : null}
        {running ? null : (
          <>
            <Button
              variant="default"
              data-testid="job-export"
              leftSection={<IconDownload size={15} aria-hidden />}
              onClick={() => act(save())}
            >
              <Trans>Export as CSV…</Trans>
            </Button>
            <Button
              data-testid="wizard-done"
              variant={failed.length > 0 ? 'default' : 'filled'}
              onClick={() => void navigate('/')}
            >
              <Trans>Done</Trans>
            </Button>
          </>
        )}
      </footer>
    </div>
  )
}

/** Why appliances failed, by reason: what happened, to which, and what to do. */
function Failures({ job }: { job: Job }) {
  const { t } = useLingui()
  const groups = failuresOf(job.items.values())
  if (groups.length === 0) return null
  return (
    <section className={classes.failures} aria-label={t`Failures`} data-testid="failures">
      {groups.map(({ problem, names }) => (
        <div key={`${problem.code} ${problem.message}`} className={classes.failure}>
          <div>
            <b>{problem.message}</b> {problem.remedy}
          </div>
          <div className="quiet">
            {names.slice(0, 8).join(', ')}
            {names.length > 8 ? (
              <>
                {' '}
                <Plural value={names.length - 8} one="and # more" other="and # more" />
              </>
            ) : null}
          </div>
        </div>
      ))}
    </section>
  )
}
