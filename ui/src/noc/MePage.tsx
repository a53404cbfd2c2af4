import { Trans, useLingui } from '@lingui/react/macro'
import { Button, PasswordInput } from '@mantine/core'
import { type FormEvent, useCallback, useState } from 'react'
import { type NocProblem, type Page, type TokenView, toNocProblem } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import { Sessions } from './Sessions.tsx'
import { useFace } from './session.tsx'
import { TokenForm } from './TokenForm.tsx'
import { roleAt } from './words.ts'

const CONCERNS = kinds('operator')
/** One's own. */
const OWN = {}

/** Oneself: roles, where one is signed in, API tokens, the password. */
export function MePage() {
  const { t } = useLingui()
  const { me } = useFace()
  const places = usePlaces()
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={`${page.title} ${face.name}`}>{me.operator.name}</h1>
        <span className="quiet mono">{me.operator.login}</span>
      </header>
      <div className={face.stack}>
        <section className={page.card} aria-label={t`Roles`}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Roles</Trans>
            </h2>
          </div>
          <div className={page.cardBody} data-testid="own-roles">
            {me.operator.roles.length === 0 ? (
              <Trans>None. Ask an administrator of your organisation.</Trans>
            ) : (
              me.operator.roles.map((at) => roleAt(at, places.organisation, places.site)).join(', ')
            )}
          </div>
        </section>
        <Sessions title={t`Where you are signed in`} query={OWN} />
        <Tokens />
        <PasswordForm />
      </div>
    </div>
  )
}

function Tokens() {
  const { t } = useLingui()
  const { noc } = useFace()
  const load = useCallback(() => noc.get<Page<TokenView>>('/v1/tokens'), [noc])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  const [refused, setRefused] = useState<NocProblem | null>(null)
  const [isAdding, setAdding] = useState(false)
  const shown = refused ?? problem
  return (
    <section className={page.card} aria-label={t`API tokens`}>
      <div className={page.cardHead}>
        <h2>
          <Trans>API tokens</Trans>
        </h2>
        <span className={page.grow} />
        {isAdding ? null : (
          <Button size="compact-xs" variant="default" onClick={() => setAdding(true)} data-testid="token-add">
            <Trans>Make a token…</Trans>
          </Button>
        )}
      </div>
      {shown ? <ProblemAlert problem={shown} /> : null}
      {isAdding ? (
        <div className={page.cardBody}>
          <TokenForm
            onDone={() => {
              setAdding(false)
              reload()
            }}
          />
        </div>
      ) : null}
      {value?.items.length === 0 ? (
        isAdding ? null : (
          <div className={`${page.cardBody} quiet`}>
            <Trans>None. Programs that run alone sign in with tokens.</Trans>
          </div>
        )
      ) : (
        <ul className={face.list} data-testid="tokens">
          {value?.items.map((token) => (
            <li key={token.id}>
              <span className={face.name}>{token.name}</span>
              <span className={`${face.wide} quiet`}>{token.scopes.join(', ')}</span>
              <span className="quiet">
                <Trans>
                  ends <When at={token.expires} exact />
                </Trans>
              </span>
              <Button
                variant="default"
                aria-label={t`End the token ${token.name}`}
                onClick={() =>
                  noc
                    .remove(`/v1/tokens/${token.id}`)
                    .then(reload, (reason: unknown) => setRefused(toNocProblem(reason)))
                }
              >
                <Trans>End</Trans>
              </Button>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function PasswordForm() {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [old, setOld] = useState('')
  const [fresh, setFresh] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const [isDone, setDone] = useState(false)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    setDone(false)
    try {
      await noc.post('/v1/session/password', { old, new: fresh })
      setOld('')
      setFresh('')
      setProblem(null)
      setDone(true)
      announce(t`The password was changed.`)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
    }
  }
  const toggle = { 'aria-label': t`Show the password` }
  return (
    <section className={page.card} aria-label={t`Password`}>
      <div className={page.cardHead}>
        <h2>
          <Trans>Password</Trans>
        </h2>
      </div>
      <form className={`${page.form} ${page.cardBody}`} onSubmit={submit}>
        {problem ? <ProblemAlert problem={problem} /> : null}
        <PasswordInput
          label={t`The one in use`}
          autoComplete="current-password"
          required
          withAsterisk={false}
          visibilityToggleButtonProps={toggle}
          value={old}
          onChange={(event) => setOld(event.currentTarget.value)}
        />
        <PasswordInput
          label={t`The new one`}
          description={t`At least 12 characters. All your other sessions end.`}
          autoComplete="new-password"
          required
          withAsterisk={false}
          visibilityToggleButtonProps={toggle}
          value={fresh}
          onChange={(event) => setFresh(event.currentTarget.value)}
        />
        <div className={page.actions}>
          <Button type="submit" loading={isSaving}>
            <Trans>Change the password</Trans>
          </Button>
          {isDone ? (
            <span className="quiet" role="status">
              <Trans>The password was changed.</Trans>
            </span>
          ) : null}
        </div>
      </form>
    </section>
  )
}
