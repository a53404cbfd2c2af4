import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, Loader, TextInput } from '@mantine/core'
import { useEffect, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { ProblemView, SiteSetup } from '../bindings.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useSession } from '../store/context.tsx'
import classes from './FirstStartPage.module.css'

type TextKey = Exclude<keyof SiteSetup, 'practice'>

/** *Use this computer*: the first site and its simple policy, prefilled from this computer's network. */
export function LocalSetupForm() {
  const { t } = useLingui()
  const { backend, restart } = useSession()
  const [setup, setSetup] = useState<SiteSetup | null>(null)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [busy, setBusy] = useState(false)
  useEffect(() => {
    backend.localSetupDefaults().then(setSetup, (reason: unknown) => setProblem(toProblem(reason)))
  }, [backend])
  if (!setup) return problem ? <ProblemAlert problem={problem} /> : <Loader aria-label={t`Loading`} />

  const submit = async () => {
    setBusy(true)
    setProblem(null)
    try {
      await backend.chooseThisComputer(setup)
      await restart()
    } catch (reason) {
      setProblem(toProblem(reason))
    }
    setBusy(false)
  }
  const field = (key: TextKey, label: string, description?: string, placeholder?: string) => (
    <TextInput
      label={label}
      description={description}
      placeholder={placeholder}
      data-testid={`setup-${key}`}
      spellCheck={false}
      value={setup[key]}
      onChange={(event) => setSetup({ ...setup, [key]: event.currentTarget.value })}
    />
  )
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      <h2 className={classes.question}>
        <Trans>Your first site</Trans>
      </h2>
      <p className={classes.lead}>
        <Trans>
          What new appliances get. The values come from this computer's network; change what does not fit.
        </Trans>
      </p>
      <Checkbox
        size="sm"
        data-testid="setup-practice"
        className={classes.practice}
        label={t`Start a practice fleet`}
        description={t`Simulated appliances that run the real agent, on this computer only. Good for a first try without hardware.`}
        checked={setup.practice}
        onChange={(event) => setSetup({ ...setup, practice: event.currentTarget.checked })}
      />
      <div className={classes.pair}>
        {field('name', t`Site name`)}
        {field('domain', t`Domain`, undefined, 'office.example.net')}
      </div>
      <div className={classes.pair}>
        {field('pool', t`Address pool`, t`First and last address`, '192.0.2.10-192.0.2.99')}
        {field('netmask', t`Netmask`, t`Of the appliances' network`, '255.255.255.0')}
      </div>
      <div className={classes.pair}>
        {field('gateway', t`Gateway`, t`May stay empty`)}
        {field(
          'host_name',
          t`Host names`,
          t`${'{n}'} counts; ${'{model}'} and ${'{serial}'} are filled in`,
          '{model}-{n:03}',
        )}
      </div>
      <div className={classes.pair}>
        {field('dns1', t`DNS 1`, t`May stay empty`)}
        {field('dns2', t`DNS 2`, t`May stay empty`)}
      </div>
      <div className={classes.pair}>
        {field('pool6', t`IPv6 pool`, t`May stay empty`, '2001:db8::/64')}
        {field('gateway6', t`IPv6 gateway`, t`May stay empty`, '2001:db8::1')}
      </div>
      {field(
        'noc_address',
        t`Address of this computer for the appliances`,
        t`Address and port, where their beats arrive`,
      )}
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div>
        <Button type="submit" size="sm" data-testid="local-submit" loading={busy}>
          <Trans>Start</Trans>
        </Button>
      </div>
    </form>
  )
}
