import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Progress, Tooltip } from '@mantine/core'
import { IconAlertTriangle, IconBroadcast, IconPlayerStop } from '@tabler/icons-react'
import { toProblem } from '../backend/backend.ts'
import type { ProblemView } from '../bindings.ts'
import { useFleet, useSession } from '../store/context.tsx'
import classes from './AppliancesPage.module.css'

/** Starts a discovery, or stops the one that runs. */
export function DiscoverButton({ onProblem }: { onProblem: (problem: ProblemView | null) => void }) {
  const { backend } = useSession()
  const isRunning = useFleet((s) => s.discovery.running)
  const act = (promise: Promise<void>) => {
    onProblem(null)
    promise.catch((reason: unknown) => onProblem(toProblem(reason)))
  }
  if (isRunning)
    return (
      <Button
        data-testid="stop-discovery"
        variant="default"
        leftSection={<IconPlayerStop size={16} aria-hidden />}
        onClick={() => act(backend.stopDiscovery())}
      >
        <Trans>Stop</Trans>
      </Button>
    )
  return (
    <Button
      data-testid="discover"
      leftSection={<IconBroadcast size={16} aria-hidden />}
      onClick={() => act(backend.discover())}
    >
      <Trans>Discover</Trans>
    </Button>
  )
}

/** How far the discovery is, or how the last one went. */
export function DiscoveryStatus() {
  const { t, i18n } = useLingui()
  const discovery = useFleet((s) => s.discovery)
  const unheard = Math.round(discovery.unheard)
  const expected = discovery.found + unheard
  const seconds = i18n.number(discovery.seconds, { maximumFractionDigits: 1, minimumFractionDigits: 1 })
  // An interface that took no part says why after a colon.
  const skipped = discovery.interfaces.filter((one) => one.includes(': '))
  const used = discovery.interfaces.filter((one) => !one.includes(': '))
  if (discovery.round === 0 && !discovery.running && !discovery.problem) return null
  return (
    <div className={classes.status} data-testid="discovery-status" data-running={discovery.running}>
      {discovery.running ? (
        <>
          <Progress
            className={classes.progress}
            size="sm"
            aria-label={t`Discovery`}
            value={expected > 0 ? (100 * discovery.found) / expected : 0}
          />
          <span>
            <Trans>
              Round {discovery.round} · {i18n.number(discovery.found)} found · about {i18n.number(unheard)}{' '}
              not heard yet
            </Trans>
          </span>
        </>
      ) : (
        <span>
          <Trans>
            <Plural value={discovery.found} one="# answered" other="# answered" /> in {seconds} s,{' '}
            <Plural value={discovery.round} one="# round" other="# rounds" />
          </Trans>
          {used.length > 0 ? <> {t`on ${used.join(', ')}`}</> : null}
        </span>
      )}
      {discovery.problem ? (
        <Tooltip label={`${discovery.problem.message} ${discovery.problem.remedy}`} w={320}>
          <span className="warn" role="alert">
            {discovery.problem.message}
          </span>
        </Tooltip>
      ) : null}
      {skipped.length > 0 ? (
        <Tooltip label={skipped.join(' · ')} w={300}>
          <span className="warn" role="img" aria-label={t`Not used: ${skipped.join(', ')}`}>
            <IconAlertTriangle size={15} aria-hidden style={{ verticalAlign: -3 }} />
          </span>
        </Tooltip>
      ) : null}
    </div>
  )
}
