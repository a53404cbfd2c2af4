import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, PasswordInput, Textarea, TextInput } from '@mantine/core'
import { type FormEvent, useCallback, useState } from 'react'
import { type NocProblem, type Tested, toNocProblem, type Versioned } from '../backend/noc.ts'
import type { RemoteWrite, RemoteWriteTarget } from '../backend/nocRemoteWrite.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import { Conflict, useEditing } from './editing.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { Refused } from './Refused.tsx'
import { Card } from './Scaffold.tsx'
import { useFace } from './session.tsx'

const CONCERNS = kinds('organisation')
const NOWHERE: RemoteWriteTarget = { url: '', user: '', ca: '', enabled: true }

interface Draft extends RemoteWriteTarget {
  password: string
}

/** Another store of measurements that an organisation's history is written to. */
export function RemoteWriteEditor({ id }: { id: number }) {
  const { noc } = useFace()
  const path = `/v1/organisations/${id}/remote-write`
  const load = useCallback(() => noc.read<RemoteWrite>(path), [noc, path])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  if (!value) return problem ? <ProblemAlert problem={problem} /> : null
  return <Editor key={path} known={value} reload={reload} path={path} />
}

interface Props {
  known: Versioned<RemoteWrite>
  reload: () => void
  path: string
}

function Editor({ known, reload, path }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [tested, setTested] = useState<Tested | null>(null)
  const [failed, setFailed] = useState<NocProblem | null>(null)
  const [isBusy, setBusy] = useState(false)
  const { form, change, isDirty, isSaving, isSaved, problem, save, conflict } = useEditing(known, reload, {
    toForm: ({ target }: RemoteWrite): Draft => ({ ...(target ?? NOWHERE), password: '' }),
    isSame: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    put: (_, { password, ...target }, tag) =>
      noc.change<RemoteWrite>('PUT', path, tag, { target, password: password || null }),
  })
  const { target, has_password, state } = known.value
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTested(null)
    save()
  }
  const doing = async (work: () => Promise<void>) => {
    setBusy(true)
    try {
      await work()
      setFailed(null)
    } catch (reason) {
      setFailed(toNocProblem(reason))
    } finally {
      setBusy(false)
      reload()
    }
  }
  const test = () =>
    doing(async () => {
      const outcome = await noc.post<Tested>(`${path}/test`, {})
      setTested(outcome)
      announce(outcome.is_delivered ? t`The store took it.` : t`The store did not take it.`)
    })
  const remove = () =>
    doing(async () => {
      setTested(null)
      await noc.remove(path)
    })
  return (
    <Card title={t`History in another store`}>
      <form className={face.stack} onSubmit={submit} noValidate data-testid="remote-write-form">
        <p className="quiet">
          <Trans>
            Each beat is written there as well, by Prometheus remote write, under the names of the OpenMetrics
            page: to VictoriaMetrics, Prometheus and others that take it.
          </Trans>
        </p>
        {conflict ? <Conflict {...conflict} /> : null}
        {problem && faults.size === 0 ? <Refused problem={problem} /> : null}
        {failed ? <ProblemAlert problem={failed} /> : null}
        <TextInput
          label={t`Where it takes remote write`}
          placeholder="https://metrics.example.net/api/v1/write"
          maxLength={1000}
          data-testid="remote-write-url"
          value={form.url}
          onChange={(event) => change({ ...form, url: event.currentTarget.value })}
          error={faults.get('url')}
        />
        <div className={page.pair}>
          <TextInput
            label={t`User`}
            description={t`Empty for none, or with a token`}
            maxLength={200}
            autoComplete="off"
            data-testid="remote-write-user"
            value={form.user}
            onChange={(event) => change({ ...form, user: event.currentTarget.value })}
            error={faults.get('user')}
          />
          <PasswordInput
            label={t`Password or token`}
            description={has_password ? t`Empty keeps the one it has` : t`Never shown again`}
            maxLength={500}
            autoComplete="new-password"
            data-testid="remote-write-password"
            value={form.password}
            onChange={(event) => change({ ...form, password: event.currentTarget.value })}
            error={faults.get('password')}
          />
        </div>
        <Textarea
          label={t`Certificates to trust`}
          description={t`PEM, for an authority of your own; empty for those that the NOC's machine trusts`}
          rows={3}
          spellCheck={false}
          data-testid="remote-write-ca"
          value={form.ca}
          onChange={(event) => change({ ...form, ca: event.currentTarget.value })}
          error={faults.get('ca')}
        />
        <Checkbox
          label={t`Switched on`}
          data-testid="remote-write-enabled"
          checked={form.enabled}
          onChange={(event) => change({ ...form, enabled: event.currentTarget.checked })}
        />
        <div className={page.actions}>
          <Button
            type="submit"
            loading={isSaving}
            disabled={!isDirty || form.url === ''}
            data-testid="remote-write-save"
          >
            <Trans>Save</Trans>
          </Button>
          {target ? (
            <>
              <Button
                variant="default"
                loading={isBusy}
                disabled={isDirty}
                onClick={test}
                data-testid="remote-write-test"
              >
                <Trans>Write a test</Trans>
              </Button>
              <Button variant="default" disabled={isBusy} onClick={remove} data-testid="remote-write-remove">
                <Trans>Write nothing more there</Trans>
              </Button>
            </>
          ) : null}
          {isSaved ? (
            <span className="quiet" data-testid="remote-write-saved">
              <Trans>Saved. What comes from now on is written there.</Trans>
            </span>
          ) : null}
        </div>
        {tested ? (
          <output className={face.answer} data-testid="remote-write-tested">
            {tested.is_delivered ? (
              <Trans>
                Taken in {tested.took_ms} ms. The store said: {tested.answer}
              </Trans>
            ) : (
              <Trans>
                Not taken ({tested.took_ms} ms): {tested.answer}
              </Trans>
            )}
          </output>
        ) : null}
        {target ? <State state={state} /> : null}
      </form>
    </Card>
  )
}

/** What was written, what was not, and what the store said last. */
function State({ state }: { state: RemoteWrite['state'] }) {
  const { sent, refused, lost, tried, outcome, failing_since } = state
  return (
    <p className="quiet" data-testid="remote-write-state">
      {failing_since === null ? null : (
        <>
          <Trans>
            It fails since <When at={failing_since} />.
          </Trans>{' '}
        </>
      )}
      <Plural value={sent} one="# beat written." other="# beats written." />{' '}
      {refused > 0 ? (
        <>
          <Plural
            value={refused}
            one="# beat was refused and is not offered again."
            other="# beats were refused and are not offered again."
          />{' '}
        </>
      ) : null}
      {lost > 0 ? (
        <>
          <Plural
            value={lost}
            one="# beat waited for too long and was given up."
            other="# beats waited for too long and were given up."
          />{' '}
        </>
      ) : null}
      {tried === null ? null : (
        <>
          <Trans>
            Last tried <When at={tried} />
          </Trans>
          : {outcome}
        </>
      )}
    </p>
  )
}
