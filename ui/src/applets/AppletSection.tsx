import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Menu, Select, Switch, useComputedColorScheme } from '@mantine/core'
import { IconChevronDown, IconTemplate } from '@tabler/icons-react'
import { useCallback, useMemo, useState } from 'react'
import type { AppletView } from '../bindings.ts'
import { AppletPage, type ApplianceFacts } from './AppletPage.tsx'
import classes from './AppletsPanel.module.css'
import { logoOf, readableAccent } from './branding.ts'
import { AppletForm } from './form/AppletForm.tsx'
import { over, readForm } from './form/schema.ts'
import { Proposals } from './Proposals.tsx'
import {
  type Answered,
  type AppletSettings,
  type ChosenAppliance,
  takeProposals,
  valuesFor,
  withValuesFor,
} from './settings.ts'
import { NotValues, toValues, type Values } from './values.ts'

interface Props {
  site: number
  applet: AppletView
  appliances: readonly ChosenAppliance[]
  settings: AppletSettings
  answered: readonly Answered[]
  factsOf: (uid: string) => ApplianceFacts | null
  showAll: boolean
  onChange: (settings: AppletSettings) => void
}

/** How many appliances are listed for values of their own. */
const LISTED = 200

/** One applet: what it is, its own page, its templates, form and help. Every text of it is shown as text. */
export function AppletSection(props: Props) {
  const { site, applet, appliances, settings, answered, factsOf, showAll, onChange } = props
  const { t } = useLingui()
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false })
  const [uid, setUid] = useState<string | null>(null)
  const [before, setBefore] = useState<Values | null>(null)
  const [proposals, setProposals] = useState<ReadonlyMap<string, Values>>(new Map())
  const form = useMemo(() => readForm(applet.form), [applet])
  const say = useCallback(
    (source: string) => (Object.hasOwn(applet.texts, source) ? (applet.texts[source] ?? source) : source),
    [applet],
  )
  const of = uid !== null && appliances.some((one) => one.uid === uid) ? uid : null
  const values = of === null ? settings.all : valuesFor(settings, of)
  const problems = answered.find(({ question }) => question.owner === of)?.checked.problems ?? []
  const change = (next: Values) => onChange(withValuesFor(settings, of, next))
  const accent = readableAccent(applet.accent, scheme)
  const logo = logoOf(applet.logo)
  const title = say(applet.title)
  return (
    <div
      className={classes.section}
      style={accent ? ({ '--applet-accent': accent } as React.CSSProperties) : undefined}
      data-testid="applet"
      data-version={applet.version}
    >
      <header className={classes.head}>
        {logo ? <img src={logo} alt="" className={classes.logo} /> : null}
        <div className={classes.names}>
          <h2 className={classes.title}>{title}</h2>
          <span className="quiet">{applet.version}</span>
        </div>
        {form ? (
          <Switch
            size="xs"
            label={t`Send`}
            aria-label={t`Send the settings of ${title}`}
            data-testid="applet-on"
            checked={settings.on}
            onChange={(event) => onChange({ ...settings, on: event.currentTarget.checked })}
          />
        ) : null}
      </header>
      {applet.description ? <p className={classes.about}>{say(applet.description)}</p> : null}
      {applet.hasPage ? (
        <AppletPage
          site={site}
          applet={applet}
          appliances={appliances}
          factsOf={factsOf}
          accent={accent}
          onPropose={(of, proposed) => setProposals((last) => new Map(last).set(of, proposed))}
        />
      ) : null}
      {form && settings.on && proposals.size > 0 ? (
        <Proposals
          form={form}
          say={say}
          appliances={appliances}
          settings={settings}
          proposals={proposals}
          onTake={() => {
            onChange(takeProposals(settings, appliances, proposals))
            setProposals(new Map())
          }}
          onDismiss={() => setProposals(new Map())}
        />
      ) : null}
      {form && settings.on ? (
        <>
          <div className={classes.bar}>
            {appliances.length > 1 ? (
              <Select
                label={t`Values for`}
                data-testid="applet-values-for"
                className={classes.grow ?? ''}
                allowDeselect={false}
                searchable
                data={[
                  { value: ALL, label: t`All ${appliances.length} appliances` },
                  ...appliances.slice(0, LISTED).map((one) => ({
                    value: one.uid,
                    label: settings.own.has(one.uid) ? t`${nameOf(one)} (its own)` : nameOf(one),
                  })),
                ]}
                value={of ?? ALL}
                onChange={(next) => setUid(next === ALL ? null : next)}
              />
            ) : null}
            {applet.templates.length > 0 ? (
              <Menu position="bottom-end" withinPortal>
                <Menu.Target>
                  <Button
                    size="compact-sm"
                    variant="default"
                    data-testid="applet-templates"
                    leftSection={<IconTemplate size={14} aria-hidden />}
                    rightSection={<IconChevronDown size={13} aria-hidden />}
                  >
                    <Trans>Templates</Trans>
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  {applet.templates.map((template, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: two templates may be called alike
                    <Menu.Item key={i} onClick={() => take(template.values)}>
                      {say(template.title)}
                    </Menu.Item>
                  ))}
                </Menu.Dropdown>
              </Menu>
            ) : null}
          </div>
          {before ? (
            <p className={classes.about} role="status">
              <Trans>The template’s values are filled in.</Trans>{' '}
              <Button
                size="compact-xs"
                variant="subtle"
                data-testid="applet-undo"
                onClick={() => {
                  change(before)
                  setBefore(null)
                }}
              >
                <Trans>Undo</Trans>
              </Button>
            </p>
          ) : null}
          {of === null && settings.own.size > 0 ? (
            <p className={classes.about}>
              <Plural
                value={settings.own.size}
                one="# appliance has values of its own."
                other="# appliances have values of their own."
              />
            </p>
          ) : null}
          <AppletForm
            key={of ?? ALL}
            form={form}
            values={values}
            problems={problems}
            showAll={showAll}
            say={say}
            onChange={(next) => {
              setBefore(null)
              change(next)
            }}
          />
        </>
      ) : null}
      {applet.help ? (
        <details className={classes.help}>
          <summary>
            <Trans>Help</Trans>
          </summary>
          <p className={classes.helpText}>{say(applet.help)}</p>
        </details>
      ) : null}
    </div>
  )

  function take(template: unknown) {
    try {
      const filled = toValues(template)
      setBefore(values)
      change(over(values, filled))
    } catch (reason) {
      // Templates are checked when the applet is made: this one was made by other means, and there is nothing to fill in.
      if (!(reason instanceof NotValues)) throw reason
    }
  }
}

const ALL = 'all'

export function nameOf(one: ChosenAppliance): string {
  return one.host_name || one.mac
}
