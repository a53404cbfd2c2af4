import { Trans } from '@lingui/react/macro'
import { Button, Loader } from '@mantine/core'
import { IconBroadcast, IconFilterOff, IconPlugConnected } from '@tabler/icons-react'
import { toProblem } from '../backend/backend.ts'
import type { ProblemView } from '../bindings.ts'
import { Empty } from '../components/Empty.tsx'
import { useFleet, useSession } from '../store/context.tsx'

/** The grid before anybody answered. */
export function NoAppliances({ onProblem }: { onProblem: (problem: ProblemView) => void }) {
  const { backend } = useSession()
  const discovery = useFleet((s) => s.discovery)
  const discover = (
    <Button
      size="sm"
      leftSection={<IconBroadcast size={18} aria-hidden />}
      onClick={() => backend.discover().catch((reason: unknown) => onProblem(toProblem(reason)))}
    >
      <Trans>Discover</Trans>
    </Button>
  )
  if (discovery.running)
    return (
      <Empty icon={<Loader size={28} />} title={<Trans>Calling the roll…</Trans>}>
        <Trans>Appliances show up here as they answer.</Trans>
      </Empty>
    )
  if (discovery.round === 0)
    return (
      <Empty icon={<IconBroadcast size={30} />} title={<Trans>No appliances yet</Trans>} action={discover}>
        <Trans>
          Plug the appliances into this network and press Discover. Every one answers, also those without an
          address.
        </Trans>
      </Empty>
    )
  return (
    <Empty icon={<IconPlugConnected size={30} />} title={<Trans>Nobody answered</Trans>} action={discover}>
      <Trans>
        Check that the appliances have power and a cable to the same network as this computer, and that no
        firewall blocks UDP port 6878. Then discover again.
      </Trans>
    </Empty>
  )
}

export function NoMatches({ onClear }: { onClear: () => void }) {
  return (
    <Empty
      icon={<IconFilterOff size={30} />}
      title={<Trans>No appliance matches</Trans>}
      action={
        <Button variant="default" onClick={onClear} data-testid="clear-filters">
          <Trans>Clear search and filters</Trans>
        </Button>
      }
    >
      <Trans>The search and the filters hide every appliance.</Trans>
    </Empty>
  )
}
