import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Menu, Select, Switch, useComputedColorScheme } from '@mantine/core'
import { IconChevronDown, IconTemplate } from '@tabler/icons-react'
import { useCallback, useMemo, useState } from 'react'
import type { AppletView } from '../bindings.ts'
import { AppletPage, type ApplianceFacts } from './AppletPage.tsx'
import classes from './AppletsPanel.module.css'
import { logoOf, readableAccent } from './branding.ts'
import { AppletForm } from './form/AppletForm.tsx'
import { Proposals } from './Proposals.tsx'
import {
  type Answered,
  type AppletSettings,
  begin,
  type ChosenAppliance,
  formOf,
  merge,
  problemsOf,
  takeProposals,
  valuesFor,
  withTemplate,
  withValueFor,
} from './settings.ts'
import { NotValues, pointer, toValues, type Values } from './values.ts'

interface Props {
  site: number
  applet: AppletView
  appliances: readonly ChosenAppliance[]
  settings: AppletSettings
  answered: readonly Answered[]
  factsOf: (uid: string) => ApplianceFacts | null
  showAll: boolean
  language: string
  onChange: (settings: AppletSettings) => void
}

/** What a click takes back. */
interface Undo {
  before: AppletSettings
  /** The field in which the appliances differed before, as a JSON pointer; null for a template. */
  at: string | null
}

/** How many appliances are listed for values of their own. */
const LISTED = 200

/** One applet: what it is, its own page, its templates, form and help. Every text of it is shown as text. */
export function AppletSection(props: Props) {
  const { site, applet, appliances, settings, answered, factsOf, showAll, language, onChange } = props
  const { t } = useLingui()
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false })
  const [uid, setUid] = useState<string | null>(null)
  const [undo, setUndo] = useState<Undo | null>(null)
  const [proposals, setProposals] = useState<ReadonlyMap<string, Values>>(new Map())
  const form = formOf(applet)
  const say = useCallback(
    (source: string) => (Object.hasOwn(applet.texts, source) ? (applet.texts[source] ?? source) : source),
    [applet],
  )
  const of = uid !== null && appliances.some((one) => one.uid === uid) ? uid : null
  const shown = useMemo(
    () => (of === null ? appliances : appliances.filter((one) => one.uid === of)),
    [appliances, of],
  )
  const { values, differ } = useMemo(
    () =>
      form
        ? merge(
            form,
            shown.map((one) => valuesFor(applet, settings, one)),
          )
        : { values: {}, differ: new Set<string>() },
    [form, applet, settings, shown],
  )
  const problems = useMemo(
    () =>
      problemsOf(answered, new Set(shown.map((one) => one.uid))).map(({ path, message, count }) => ({
        path,
        message: count < shown.length ? t`${message} (${count} of ${shown.length} appliances)` : message,
      })),
    [answered, shown, t],
  )
  const left = useMemo(
    () => [...new Set(shown.flatMap((one) => begin(applet, one.application).left))],
    [applet, shown],
  )
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
          language={language}
          onPropose={(of, proposed) => setProposals((last) => new Map(last).set(of, proposed))}
        />
      ) : null}
      {form && settings.on && proposals.size > 0 ? (
        <Proposals
          applet={applet}
          form={form}
          say={say}
          appliances={appliances}
          settings={settings}
          proposals={proposals}
          onTake={() => {
            onChange(takeProposals(applet, settings, appliances, proposals))
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
                    label: nameOf(one),
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
          {undo ? (
            <p className={classes.about} role="status">
              {undo.at === null ? (
                <Trans>The template’s values are filled in.</Trans>
              ) : (
                <Trans>What differed is the same for all now.</Trans>
              )}{' '}
              <Button
                size="compact-xs"
                variant="subtle"
                data-testid="applet-undo"
                onClick={() => {
                  onChange(undo.before)
                  setUndo(null)
                }}
              >
                <Trans>Undo</Trans>
              </Button>
            </p>
          ) : null}
          {differ.size > 0 ? (
            <p className={classes.about} data-testid="applet-differ">
              <Plural
                value={differ.size}
                one="The appliances differ in # value. Each keeps its own unless you change it here."
                other="The appliances differ in # values. Each keeps its own unless you change it here."
              />
            </p>
          ) : null}
          {left.length > 0 ? (
            <p className={classes.about} data-testid="applet-left">
              {/* Not `Trans`: it would take markup in a name for one of its own elements. */}
              {t`The present settings have what this form has no field for, and what is sent will not: ${namesOf(left)}.`}
            </p>
          ) : null}
          <AppletForm
            key={of ?? ALL}
            form={form}
            values={values}
            differ={differ}
            problems={problems}
            showAll={showAll}
            say={say}
            onChange={(path, value) => {
              const at = pointer(path)
              if (differ.has(at)) setUndo({ before: settings, at })
              // Still being typed there.
              else if (undo?.at !== at) setUndo(null)
              onChange(withValueFor(applet, settings, shown, path, value))
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
      setUndo({ before: settings, at: null })
      onChange(withTemplate(applet, settings, shown, filled))
    } catch (reason) {
      // Templates are checked when the applet is made: this one was made by other means, and there is nothing to fill in.
      if (!(reason instanceof NotValues)) throw reason
    }
  }
}

const ALL = 'all'
/** Names of settings that are listed. */
const NAMED = 8

function namesOf(pointers: readonly string[]): string {
  const names = pointers.slice(0, NAMED).map((at) => (at.length > 60 ? `${at.slice(0, 60)}…` : at))
  return [...names, ...(pointers.length > NAMED ? ['…'] : [])].join(', ')
}

export function nameOf(one: ChosenAppliance): string {
  return one.host_name || one.mac
}
