import { Trans } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconSettingsAutomation } from '@tabler/icons-react'
import { useMemo, useState } from 'react'
import { useNavigate } from 'react-router'
import { AppletsPanel } from '../applets/AppletsPanel.tsx'
import { factsOf } from '../applets/facts.ts'
import { type ApplicationDraft, secretsFor } from '../applets/settings.ts'
import { useApplets, useApplication } from '../applets/useApplets.ts'
import type { ApplianceRow } from '../bindings.ts'
import { ApplicationDocument } from '../components/ApplicationDocument.tsx'
import { useFleet, useSession } from '../store/context.tsx'
import classes from './AppliancePage.module.css'
import page from './page.module.css'

/** The application settings that an appliance has, value by value; nothing when it has none. */
export function ApplicationFacts({ row }: { row: ApplianceRow }) {
  const sites = useFleet((s) => s.sites)
  const { applets } = useApplets(row.site ?? sites[0]?.id ?? null)
  const { application = '' } = row.settings
  if (application === '') return null
  return (
    <section className={page.card} data-testid="application-facts">
      <div className={page.cardHead}>
        <h2>
          <Trans>Application settings it has</Trans>
        </h2>
      </div>
      <div className={page.cardBody}>
        <ApplicationDocument text={application} secrets={secretsFor(applets, row.model)} />
      </div>
    </section>
  )
}

/** The site's applets on the page of one appliance; nothing when none is for its model. */
export function ApplicationCard({ row }: { row: ApplianceRow }) {
  const { fleet, view } = useSession()
  const navigate = useNavigate()
  const sites = useFleet((s) => s.sites)
  const site = row.site ?? sites[0]?.id ?? null
  const [draft, setDraft] = useState<ApplicationDraft>(new Map())
  const [showAll, setShowAll] = useState(false)
  const { uid, mac, model } = row
  const { host_name, application: has = '' } = row.settings
  const appliances = useMemo(
    () => [{ uid, mac, model, host_name, application: has }],
    [uid, mac, model, host_name, has],
  )
  const { applets } = useApplets(site)
  const application = useApplication(site ?? 0, applets, appliances, draft)
  if (site === null || application.groups.length === 0) return null
  // It goes the way of every change: through the plan and its check.
  const goOn = () => {
    if (application.problems > 0) {
      setShowAll(true)
      return
    }
    view.draft = { site, uids: [uid], codes: new Map(), plan: null, rows: [], application: draft, step: 0 }
    void navigate('/configure')
  }
  return (
    <section className={`${page.card} ${classes.application}`} data-testid="application-card">
      <div className={page.cardHead}>
        <h2>
          <Trans>Application settings</Trans>
        </h2>
        <div className={page.grow} />
        <Button
          size="compact-xs"
          variant="default"
          data-testid="application-configure"
          disabled={application.checking}
          leftSection={<IconSettingsAutomation size={14} aria-hidden />}
          onClick={goOn}
        >
          <Trans>Configure with these…</Trans>
        </Button>
      </div>
      <AppletsPanel
        wide
        site={site}
        application={application}
        draft={draft}
        factsOf={(of) => factsOf(fleet.appliance(of))}
        showAll={showAll}
        onChange={setDraft}
      />
    </section>
  )
}
