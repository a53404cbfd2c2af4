import { Trans, useLingui } from '@lingui/react/macro'
import { IconMessage } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import type { AppletView } from '../bindings.ts'
import { useSession } from '../store/context.tsx'
import classes from './AppletsPanel.module.css'
import { AppletFrame } from './host/AppletFrame.tsx'
import type { Answers } from './host/link.ts'
import type { ChosenAppliance } from './settings.ts'
import type { Values } from './values.ts'

/** What an applet with the permission `parameters` reads of an appliance. */
export interface ApplianceFacts {
  domain: string
  address: string
  netmask: string
  gateway: string
  dns1: string
  dns2: string
  counters: Record<string, number>
}

interface Props {
  site: number
  applet: AppletView
  appliances: readonly ChosenAppliance[]
  factsOf: (uid: string) => ApplianceFacts | null
  accent: string | null
  language: string
  onPropose: (uid: string, values: Values) => void
}

/** Appliances whose new values a page hears of at once. */
const WATCHED = 50

/** The applet's own page, what it says, and what it may know. */
export function AppletPage({ site, applet, appliances, factsOf, accent, language, onPropose }: Props) {
  const { t } = useLingui()
  const { backend } = useSession()
  const [said, setSaid] = useState('')
  const isChosen = (uid: string) => appliances.some((one) => one.uid === uid)
  const answers: Answers = {
    appliances: () => appliances.map(({ uid, mac, model, host_name }) => ({ uid, mac, model, host_name })),
    parameters: (uid) => {
      const chosen = appliances.find((one) => one.uid === uid)
      const facts = chosen ? factsOf(uid) : null
      return chosen && facts
        ? { uid, mac: chosen.mac, model: chosen.model, host_name: chosen.host_name, ...facts }
        : null
    },
    propose: (uid, values) => {
      if (!isChosen(uid)) return false
      onPropose(uid, values)
      return true
    },
    validate: async (values) => (await backend.checkApplication(site, applet.name, values)).problems,
    say: setSaid,
  }
  const src = useMemo(() => backend.appletPage(site, applet.name, applet.version), [backend, site, applet])
  // What a page could have read before and would read otherwise now.
  const revision = JSON.stringify(
    appliances.slice(0, WATCHED).map(({ uid, host_name }) => [uid, host_name, factsOf(uid)]),
  )
  return (
    <div className={classes.page}>
      <AppletFrame
        applet={applet}
        src={src}
        accent={accent}
        language={language}
        answers={answers}
        revision={revision}
      />
      {said ? (
        <p className={classes.said} role="status" data-testid="applet-said" aria-label={t`The applet says`}>
          <IconMessage size={14} aria-hidden />
          <span>
            <span className="quiet">
              <Trans>The applet says:</Trans>
            </span>{' '}
            {said}
          </span>
        </p>
      ) : null}
    </div>
  )
}
