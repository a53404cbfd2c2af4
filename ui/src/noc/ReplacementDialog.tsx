import { Trans, useLingui } from '@lingui/react/macro'
import { Radio, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useCallback, useState } from 'react'
import type { Appliance, Page } from '../backend/noc.ts'
import type { ApplianceRole } from '../backend/nocRetirement.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { Confirmed } from './Confirmed.tsx'
import { nameOf } from './FleetPage.tsx'
import face from './face.module.css'
import { useLoaded } from './loading.ts'
import { wordOf } from './RetirementDialog.tsx'
import { useFace } from './session.tsx'

/** So many are offered; the search narrows them. */
const OFFERED = 8
/** Read at once: some of them may be of other sites. */
const READ = 200

/** Gives the role of an appliance to another one. */
export function ReplacementDialog({ row, onClose }: { row: Appliance; onClose: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [text, setText] = useState('')
  const [heir, setHeir] = useState<string | null>(null)
  const name = nameOf(row)
  const path = `/v1/appliances/${encodeURIComponent(row.uid)}/replacement`
  return (
    <Confirmed
      title={t`Replace ${name}`}
      act={t`Replace it`}
      word={wordOf(row)}
      isIncomplete={heir === null}
      run={() => noc.post<ApplianceRole>(path, { by: heir })}
      onDone={() => {
        announce(t`It is replaced.`)
        onClose()
      }}
      onClose={onClose}
    >
      <ul className={face.consequences}>
        <li>
          <Trans>
            The new appliance takes over site, host name {row.settings?.host_name} and address{' '}
            {row.settings?.address}, with all other settings. It gets them when it is next configured from a
            console of the site; until then, for 30 days, they are kept for it.
          </Trans>
        </li>
        <li>
          <Trans>
            {name} is out of service at once: its certificate and its grants are worth nothing from now on. If
            it still runs, nobody hears it any more, and two machines would use the same address: switch it
            off.
          </Trans>
        </li>
        <li>
          <Trans>This is not undone. {name} may serve elsewhere once it is released.</Trans>
        </li>
      </ul>
      <TextInput
        label={t`Find the new appliance`}
        description={t`Part of its serial number or MAC address. It is in the inventory and not configured.`}
        data-autofocus
        spellCheck={false}
        data-testid="heir-text"
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value)
          setHeir(null)
        }}
      />
      <Heirs row={row} text={text.trim()} heir={heir} choose={setHeir} />
    </Confirmed>
  )
}

interface HeirsProps {
  row: Appliance
  text: string
  heir: string | null
  choose: (uid: string) => void
}

function Heirs({ row, text, heir, choose }: HeirsProps) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [wanted] = useDebouncedValue(text, 200)
  const load = useCallback(() => {
    const query = { organisation: row.organisation, provisioning: 'known', limit: READ }
    return noc.get<Page<Appliance>>('/v1/appliances', wanted ? { ...query, text: wanted } : query)
  }, [noc, row.organisation, wanted])
  const { value, problem } = useLoaded(load, ({ appliances }) => appliances.length > 0)
  if (problem) return <ProblemAlert problem={problem} />
  const fitting = value?.items.filter(
    ({ uid, site, provisioning }) =>
      uid !== row.uid && provisioning === 'known' && (site === null || site === row.site),
  )
  if (fitting?.length === 0)
    return (
      <p className="quiet" data-testid="heir-none">
        <Trans>
          No appliance fits. Take its manifest in, or release one that served before; whoever has a role at
          this site only sees those that were planned for it.
        </Trans>
      </p>
    )
  return (
    <Radio.Group label={t`The new appliance`} value={heir ?? ''} onChange={choose}>
      <div className={face.heirs}>
        {fitting?.slice(0, OFFERED).map((one) => (
          <Radio
            key={one.uid}
            value={one.uid}
            label={[one.serial, one.mac, one.model].filter(Boolean).join(' · ')}
            data-testid="heir"
          />
        ))}
      </div>
      {(fitting?.length ?? 0) > OFFERED ? (
        <p className="quiet">
          <Trans>There are more: type more of its number.</Trans>
        </p>
      ) : null}
    </Radio.Group>
  )
}
