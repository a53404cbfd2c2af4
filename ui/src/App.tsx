import { I18nProvider } from '@lingui/react'
import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Center, Loader, MantineProvider, Stack, Title } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { createMemoryRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { type Backend, toProblem } from './backend/backend.ts'
import type { ProblemView, StartView } from './bindings.ts'
import { Announcer } from './components/Announcer.tsx'
import { ProblemAlert } from './components/ProblemAlert.tsx'
import { FirstStartPage } from './pages/FirstStartPage.tsx'
import { PreviewPage } from './pages/PreviewPage.tsx'
import { SessionProvider } from './store/context.tsx'
import { Fleet } from './store/fleet.ts'
import { rememberedScheme } from './store/scheme.ts'
import { ViewState } from './store/view.ts'
import { i18n } from './texts.ts'
import { cssVariables, theme } from './theme.ts'

interface Props {
  backend: Backend
  router: ReturnType<typeof createMemoryRouter>
}

export function App({ backend, router }: Props) {
  const scheme = useMemo(() => rememberedScheme(backend), [backend])
  return (
    <I18nProvider i18n={i18n}>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={cssVariables}
        colorSchemeManager={scheme}
        defaultColorScheme="auto"
      >
        <Announcer>
          <Notifications position="bottom-right" limit={4} />
          <Connected backend={backend} router={router} />
        </Announcer>
      </MantineProvider>
    </I18nProvider>
  )
}

/** Asks the engine how things stand and listens to it; shows the first-start question or the screens. */
function Connected({ backend, router }: Props) {
  const { t } = useLingui()
  const fleet = useMemo(() => new Fleet(), [])
  const view = useMemo(() => new ViewState(), [])
  const [start, setStart] = useState<StartView | null>(null)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [previews, setPreviews] = useState(() => router.state.location.pathname !== '/summary')
  const unsubscribe = useRef<(() => void) | null>(null)

  const restart = useCallback(async () => {
    try {
      setProblem(null)
      const state = await backend.startState()
      const stop = await backend.subscribe((events) => fleet.apply(events))
      unsubscribe.current?.()
      unsubscribe.current = stop
      setStart(state)
    } catch (reason) {
      setProblem(toProblem(reason))
    }
  }, [backend, fleet])

  useEffect(() => {
    void restart()
    return () => unsubscribe.current?.()
  }, [restart])

  const session = useMemo(
    () => (start ? { backend, fleet, start, view, restart } : null),
    [backend, fleet, start, view, restart],
  )
  if (problem) return <StartFailed problem={problem} retry={restart} />
  if (!session)
    return (
      <Center h="100vh">
        <Loader aria-label={t`Starting`} />
      </Center>
    )
  return (
    <SessionProvider session={session}>
      {previews && session.start.capabilities.applet_preview ? (
        <PreviewPage onLeave={() => setPreviews(false)} />
      ) : session.start.noc.kind === 'not_joined' ? (
        <FirstStartPage />
      ) : (
        <RouterProvider router={router} />
      )}
    </SessionProvider>
  )
}

function StartFailed({ problem, retry }: { problem: ProblemView; retry: () => void }) {
  return (
    <Center component="main" h="100vh">
      <Stack maw={480} p="md">
        <Title order={1} size="h3">
          <Trans>Muster could not start</Trans>
        </Title>
        <ProblemAlert problem={problem} />
        <Button onClick={retry}>
          <Trans>Try again</Trans>
        </Button>
      </Stack>
    </Center>
  )
}
