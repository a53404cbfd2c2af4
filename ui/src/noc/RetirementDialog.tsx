import { Trans, useLingui } from '@lingui/react/macro'
import type { Appliance } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { Confirmed } from './Confirmed.tsx'
import { nameOf } from './FleetPage.tsx'
import face from './face.module.css'
import { usePlaces } from './places.tsx'
import { useFace } from './session.tsx'

interface Props {
  row: Appliance
  ending: 'decommission' | 'release'
  onClose: () => void
}

/** Ends the service of an appliance without another one in its place. */
export function RetirementDialog({ row, ending, onClose }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const name = nameOf(row)
  const path = `/v1/appliances/${encodeURIComponent(row.uid)}`
  const done = (said: string) => () => {
    announce(said)
    onClose()
  }
  if (ending === 'decommission')
    return (
      <Confirmed
        title={t`Decommission ${name}`}
        act={t`Decommission it`}
        word={wordOf(row)}
        run={() => noc.post(`${path}/instructions`, { act: 'decommission' })}
        onDone={done(t`It goes to the appliance with the answer to its next beat.`)}
        onClose={onClose}
      >
        <ul className={face.consequences}>
          <li>
            <Trans>
              With the answer to its next beat it is told to forget its owner, its settings and its
              certificates, and it leaves the network.
            </Trans>
          </li>
          <li>
            <Trans>Only somebody at a console near it takes it in again.</Trans>
          </li>
          <li>
            <Trans>
              Until that beat it can be taken back. One that does not beat any more is released or replaced
              instead.
            </Trans>
          </li>
        </ul>
      </Confirmed>
    )
  return (
    <Confirmed
      title={t`Release ${name}`}
      act={t`Release it`}
      word={wordOf(row)}
      run={() => noc.post(`${path}/release`, {})}
      onDone={done(t`It is released.`)}
      onClose={onClose}
    >
      <ReleaseConsequences row={row} />
    </Confirmed>
  )
}

function ReleaseConsequences({ row }: { row: Appliance }) {
  const places = usePlaces()
  return (
    <ul className={face.consequences}>
      <li>
        {row.site === null ? (
          <Trans>Any site of its organisation may take it in again.</Trans>
        ) : (
          <Trans>
            It is no longer of the site {places.site(row.site)}. Any site of its organisation may take it in.
          </Trans>
        )}
      </li>
      {row.settings ? (
        <>
          <li>
            <Trans>
              Its address {row.settings.address} and its host name {row.settings.host_name} are free for
              others, although it keeps what it is set to until it is configured anew.
            </Trans>
          </li>
          <li>
            <Trans>Its beats are no longer expected, and what waits for it is dropped.</Trans>
          </li>
        </>
      ) : null}
      <li>
        <Trans>Its history and its versions stay. It comes back by being configured from a console.</Trans>
      </li>
    </ul>
  )
}

/** What names an appliance to somebody who stands before it, if it is something that can be typed. */
export function wordOf({ serial, mac }: Pick<Appliance, 'serial' | 'mac'>): string {
  return /^[\w.:/+-]+$/.test(serial) ? serial : mac
}
