import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Select, Text } from '@mantine/core'
import { useState } from 'react'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import type { ApplianceFacts } from './AppletPage.tsx'
import { AppletSection } from './AppletSection.tsx'
import classes from './AppletsPanel.module.css'
import { type ApplicationDraft, settingsOf } from './settings.ts'
import type { Application } from './useApplets.ts'

interface Props {
  site: number
  application: Application
  draft: ApplicationDraft
  /** What an applet's page may read of an appliance. */
  factsOf: (uid: string) => ApplianceFacts | null
  /** Problems also of fields that nobody has touched yet. */
  showAll: boolean
  /** As wide as there is room, within a page's card. */
  wide?: boolean
  /** Of the texts of an applet's page, when it is not the administrator's. */
  language?: string
  onChange: (draft: ApplicationDraft) => void
}

/** The settings that the site's applets add to a configuration. Nothing at all when no applet is for these appliances. */
export function AppletsPanel({
  site,
  application,
  draft,
  factsOf,
  showAll,
  wide,
  language,
  onChange,
}: Props) {
  const { t } = useLingui()
  const { groups } = application
  const [chosen, setChosen] = useState<string | null>(null)
  const group = groups.find(({ applet }) => applet.name === chosen) ?? groups[0]
  if (!group) return null
  const { applet, appliances } = group
  return (
    <section
      className={`${classes.panel} ${wide ? classes.wide : ''}`}
      aria-label={t`Application settings`}
      data-testid="applets-panel"
    >
      {groups.length > 1 ? (
        <div className={classes.choice}>
          <Select
            label={t`Application settings of`}
            data-testid="applet-choice"
            allowDeselect={false}
            data={groups.map((one) => ({
              value: one.applet.name,
              label: t`${titleOf(one.applet)} (${one.appliances.length})`,
            }))}
            value={applet.name}
            onChange={setChosen}
          />
        </div>
      ) : null}
      <AppletSection
        key={`${applet.name} ${applet.version}`}
        site={site}
        applet={applet}
        appliances={appliances}
        settings={settingsOf(draft, applet)}
        answered={application.answered.filter(({ question }) => question.applet.name === applet.name)}
        factsOf={factsOf}
        showAll={showAll}
        language={language ?? navigator.language}
        onChange={(settings) => onChange(new Map(draft).set(applet.name, settings))}
      />
      <div
        className={classes.foot}
        role="status"
        data-testid="applet-status"
        data-problems={application.problems}
      >
        {application.failure ? (
          <ProblemAlert problem={application.failure} />
        ) : application.checking ? (
          <Text size="xs" c="dimmed">
            <Trans>Checking…</Trans>
          </Text>
        ) : application.problems > 0 ? (
          <Text size="xs" c="var(--tone-bad)" fw={600}>
            <Plural value={application.problems} one="# problem to solve" other="# problems to solve" />
          </Text>
        ) : (
          <Text size="xs" c="dimmed">
            <Plural
              value={application.documents.size}
              one="Settings of # appliance are in order."
              other="Settings of # appliances are in order."
            />
          </Text>
        )}
      </div>
    </section>
  )
}

function titleOf(applet: { title: string; texts: Record<string, string> }): string {
  return Object.hasOwn(applet.texts, applet.title)
    ? (applet.texts[applet.title] ?? applet.title)
    : applet.title
}
