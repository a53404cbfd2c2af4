import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import type { AppletView } from '../bindings.ts'
import classes from './AppletsPanel.module.css'
import type { ObjectField } from './form/schema.ts'
import { type AppletSettings, type ChosenAppliance, valuesFor } from './settings.ts'
import { sameValues, type Value, type Values } from './values.ts'

interface Props {
  applet: AppletView
  form: ObjectField
  say: (source: string) => string
  appliances: readonly ChosenAppliance[]
  settings: AppletSettings
  proposals: ReadonlyMap<string, Values>
  onTake: () => void
  onDismiss: () => void
}

/** Appliances whose proposals are listed one by one. */
const LISTED = 5

/** What an applet proposes, until the administrator takes it over or not. */
export function Proposals({ applet, form, say, appliances, settings, proposals, onTake, onDismiss }: Props) {
  const { t } = useLingui()
  const proposed = appliances.flatMap((one) => {
    const values = proposals.get(one.uid)
    return values ? [{ one, changes: changesOf(form, say, valuesFor(applet, settings, one), values) }] : []
  })
  if (proposed.length === 0) return null
  return (
    <section className={classes.proposals} aria-label={t`Proposed values`} data-testid="applet-proposals">
      <b>
        <Plural
          value={proposed.length}
          one="The applet proposes values for # appliance"
          other="The applet proposes values for # appliances"
        />
      </b>
      <ul className={classes.changes}>
        {proposed.slice(0, LISTED).map(({ one, changes }) => (
          <li key={one.uid}>
            <span className="mono">{one.host_name || one.mac}</span>
            {changes.length > 0 ? (
              changes.map(([title, value], i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two fields may be called alike
                <div key={i}>
                  {title}: <b>{value}</b>
                </div>
              ))
            ) : (
              <div className="quiet">
                <Trans>Nothing would change.</Trans>
              </div>
            )}
          </li>
        ))}
      </ul>
      {proposed.length > LISTED ? (
        <p className={classes.about}>
          <Plural value={proposed.length - LISTED} one="# more" other="# more" />
        </p>
      ) : null}
      <div className={classes.bar}>
        <Button size="compact-sm" data-testid="applet-take" onClick={onTake}>
          <Trans>Take over into the form</Trans>
        </Button>
        <Button
          size="compact-sm"
          variant="subtle"
          color="gray"
          data-testid="applet-dismiss"
          onClick={onDismiss}
        >
          <Trans>Dismiss</Trans>
        </Button>
      </div>
    </section>
  )
}

function changesOf(
  form: ObjectField,
  say: (source: string) => string,
  now: Values,
  next: Values,
): [string, string][] {
  return Object.entries(next).flatMap(([name, value]): [string, string][] => {
    if (sameValues(now[name], value)) return []
    const known = form.fields.find((one) => one.name === name)?.field
    const secret = known?.kind === 'text' && known.secret
    return [[say(known?.title ?? '') || name, secret ? '••••' : brief(value)]]
  })
}

function brief(value: Value): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 120)}…` : text
}
