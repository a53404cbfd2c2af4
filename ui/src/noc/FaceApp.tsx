import { I18nProvider } from '@lingui/react'
import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Center, Loader, MantineProvider } from '@mantine/core'
import { useCallback, useEffect, useMemo, useState } from 'react'
import type { createMemoryRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { type Noc, type NocProblem, type OwnSession, toNocProblem } from '../backend/noc.ts'
import { Announcer } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { i18n } from '../texts.ts'
import { theme } from '../theme.ts'
import classes from './FaceApp.module.css'
import { Live } from './live.ts'
import { SignInPage } from './SignInPage.tsx'
import { FaceProvider } from './session.tsx'

interface Props {
  noc: Noc
  router: ReturnType<typeof createMemoryRouter>
}

/** The NOC in a browser. Its colours come from `adoptVariables`: the content policy allows no <style>. */
export function FaceApp({ noc, router }: Props) {
  return (
    <I18nProvider i18n={i18n}>
      <MantineProvider
        theme={theme}
        withCssVariables={false}
        withGlobalClasses={false}
        defaultColorScheme="auto"
      >
        <Announcer>
          <Gate noc={noc} router={router} />
        </Announcer>
      </MantineProvider>
    </I18nProvider>
  )
}

/** Lets in whoever is signed in. Who was signed out meanwhile finds the page as it was left, once they are back. */
function Gate({ noc, router }: Props) {
  const { t } = useLingui()
  const [me, setMe] = useState<OwnSession | null>(null)
  const [isIn, setIn] = useState<boolean | null>(null)
  const [hasEnded, setEnded] = useState(false)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const live = useMemo(() => new Live(), [])

  const ask = useCallback(() => {
    setProblem(null)
    noc.own().then(
      (own) => {
        setMe(own)
        setIn(own !== null)
      },
      (reason: unknown) => setProblem(toNocProblem(reason)),
    )
  }, [noc])
  useEffect(ask, [ask])
  useEffect(() => {
    noc.onEnded = () => {
      setEnded(true)
      setIn(false)
    }
    return () => {
      noc.onEnded = null
    }
  }, [noc])
  const sessionId = me?.session.id
  useEffect(
    () => (isIn && sessionId !== undefined ? live.start(noc) : undefined),
    [isIn, sessionId, live, noc],
  )

  const signOut = useCallback(() => {
    noc.signOut().then(
      () => {
        setEnded(false)
        setMe(null)
        setIn(false)
      },
      (reason: unknown) => setProblem(toNocProblem(reason)),
    )
  }, [noc])
  const face = useMemo(() => (me ? { noc, me, live, signOut } : null), [noc, me, live, signOut])

  if (problem)
    return (
      <Center component="main" h="100vh">
        <div className={classes.narrow}>
          <h1 className={classes.title}>
            <Trans>The NOC could not be asked</Trans>
          </h1>
          <ProblemAlert problem={problem} />
          <Button onClick={ask}>
            <Trans>Try again</Trans>
          </Button>
        </div>
      </Center>
    )
  if (isIn === null)
    return (
      <Center h="100vh">
        <Loader aria-label={t`Starting`} />
      </Center>
    )
  return (
    <>
      {face ? (
        // Somebody else starts anew: nothing that one operator typed is shown to another.
        <div key={face.me.operator.id} hidden={!isIn} className={classes.whole}>
          <FaceProvider face={face}>
            <RouterProvider router={router} />
          </FaceProvider>
        </div>
      ) : null}
      {isIn ? null : (
        <SignInPage
          noc={noc}
          hasEnded={hasEnded}
          onSignedIn={(own) => {
            setEnded(false)
            setMe(own)
            setIn(true)
          }}
        />
      )}
    </>
  )
}
