import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Center, PasswordInput, TextInput } from '@mantine/core'
import { type FormEvent, useEffect, useState } from 'react'
import { type Noc, type NocProblem, type OwnSession, toNocProblem } from '../backend/noc.ts'
import { Logo } from '../components/Logo.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import classes from './FaceApp.module.css'

interface Props {
  noc: Noc
  hasEnded: boolean
  onSignedIn: (own: OwnSession) => void
}

export function SignInPage({ noc, hasEnded, onSignedIn }: Props) {
  const { t } = useLingui()
  const [login, setLogin] = useState('')
  const [password, setPassword] = useState('')
  const [isAsking, setAsking] = useState(false)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  useEffect(() => {
    document.title = `${t`Sign in`} · Muster NOC`
  }, [t])

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setAsking(true)
    try {
      onSignedIn(await noc.signIn(login, password))
    } catch (reason) {
      setProblem(toNocProblem(reason))
      setPassword('')
    } finally {
      setAsking(false)
    }
  }

  return (
    <Center component="main" h="100vh">
      <form className={classes.narrow} onSubmit={submit} data-testid="sign-in">
        <div className={classes.brand}>
          <Logo size={28} />
          Muster NOC
        </div>
        <h1 className={classes.title}>
          <Trans>Sign in</Trans>
        </h1>
        {hasEnded ? (
          <p className={classes.lead} role="status" data-testid="session-ended">
            <Trans>Your session has ended. Sign in, and you find the page as you left it.</Trans>
          </p>
        ) : null}
        {problem ? <ProblemAlert problem={problem} /> : null}
        <TextInput
          label={t`Name`}
          description={t`As anna@acme; people of the NOC itself have no organisation.`}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
          required
          withAsterisk={false}
          data-testid="login"
          value={login}
          onChange={(event) => setLogin(event.currentTarget.value)}
        />
        <PasswordInput
          label={t`Password`}
          autoComplete="current-password"
          required
          withAsterisk={false}
          data-testid="password"
          visibilityToggleButtonProps={{ 'aria-label': t`Show the password` }}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <Button type="submit" size="sm" loading={isAsking} data-testid="sign-in-submit">
          <Trans>Sign in</Trans>
        </Button>
      </form>
    </Center>
  )
}
