import { Trans, useLingui } from '@lingui/react/macro'
import { Button, useComputedColorScheme } from '@mantine/core'
import { IconPlayerPlay, IconPlugConnectedX } from '@tabler/icons-react'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { AppletView } from '../../bindings.ts'
import classes from './AppletFrame.module.css'
import { type Answers, AppletLink } from './link.ts'
import type { EndReason } from './messages.ts'

interface Props {
  applet: AppletView
  /** Where its page is. */
  src: string
  accent: string | null
  language: string
  answers: Answers
  /** Another value says that other appliances were chosen, or that one of them has other values. */
  revision: unknown
}

interface Ended {
  reason: EndReason
  message: string
}

/** The applet's own page, in a frame that can reach nothing but the line to this window; and what to do when it ends. */
export function AppletFrame(props: Props) {
  const [run, setRun] = useState(1)
  const [ended, setEnded] = useState<Ended | null>(null)
  const { applet } = props
  if (ended)
    return (
      <div className={classes.ended} role="alert" data-testid="applet-ended" data-reason={ended.reason}>
        <IconPlugConnectedX size={18} aria-hidden />
        <div>
          <EndedText reason={ended.reason} title={applet.title} />
          {ended.message ? <pre className={classes.said}>{ended.message}</pre> : null}
          <Button
            size="compact-xs"
            variant="default"
            mt={6}
            data-testid="applet-restart"
            leftSection={<IconPlayerPlay size={13} aria-hidden />}
            onClick={() => {
              setRun(run + 1)
              setEnded(null)
            }}
          >
            <Trans>Start it again</Trans>
          </Button>
        </div>
      </div>
    )
  return <Running key={`${run} ${props.src}`} {...props} onEnd={setEnded} />
}

/** Pixels of a page beside its form; what is longer scrolls. */
const TALLEST = 330

function Running({
  applet,
  src,
  accent,
  language,
  answers,
  revision,
  onEnd,
}: Props & { onEnd: (ended: Ended) => void }) {
  const { t } = useLingui()
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false })
  const frame = useRef<HTMLIFrameElement>(null)
  const link = useRef<AppletLink | null>(null)
  const [height, setHeight] = useState(120)
  const [started, setStarted] = useState(false)
  // What the link asks for is always that of the newest rendering.
  const current = useRef({ answers, onEnd })
  current.current = { answers, onEnd }
  // The language that its texts were asked for in.
  const hello = { language, texts: Object.entries(applet.texts), scheme, accent }
  const greeting = useRef(hello)
  greeting.current = hello

  // Before anything can be painted, so that no `load` is missed.
  useLayoutEffect(() => {
    const element = frame.current
    if (!element) return
    const channel = new MessageChannel()
    const now = () => performance.now()
    const made = new AppletLink(
      channel.port1,
      applet.permissions,
      {
        appliances: () => current.current.answers.appliances(),
        parameters: (uid) => current.current.answers.parameters(uid),
        propose: (uid, values) => current.current.answers.propose(uid, values),
        validate: (values) => current.current.answers.validate(values),
        say: (text) => current.current.answers.say(text),
      },
      {
        started: () => setStarted(true),
        height: setHeight,
        ended: (reason, message) => current.current.onEnd({ reason, message }),
      },
      now(),
    )
    link.current = made
    let loads = 0
    const onLoad = () => {
      loads += 1
      // The document that was given the line is no longer there: somebody led the frame elsewhere.
      if (loads > 1) {
        made.end('left', '')
        return
      }
      channel.port1.onmessage = ({ data }) => made.receive(data, now())
      // An opaque origin has no name. The port is all that it is given.
      element.contentWindow?.postMessage('muster', '*', [channel.port2])
      made.hello(greeting.current)
    }
    element.addEventListener('load', onLoad)
    const ticking = setInterval(() => made.tick(now()), 1000)
    return () => {
      clearInterval(ticking)
      element.removeEventListener('load', onLoad)
      made.close()
    }
  }, [applet])

  useEffect(() => link.current?.look({ scheme, accent }), [scheme, accent])
  // biome-ignore lint/correctness/useExhaustiveDependencies: another revision is what there is to say
  useEffect(() => link.current?.changed(), [revision])

  return (
    <iframe
      ref={frame}
      src={src}
      className={classes.frame}
      title={t`Page of ${applet.title}`}
      sandbox="allow-scripts"
      allow=""
      referrerPolicy="no-referrer"
      data-testid="applet-frame"
      data-started={started}
      style={{ height: Math.min(height, TALLEST) }}
    />
  )
}

function EndedText({ reason, title }: { reason: EndReason; title: string }) {
  const { t } = useLingui()
  // Not `Trans`: it would take markup in a value for one of its own elements.
  const texts: Record<EndReason, string> = {
    crashed: t`The page of “${title}” stopped with an error. The settings can be filled in without it.`,
    drawing: t`The page of “${title}” drew something that an applet may not draw, and was ended.`,
    flood: t`The page of “${title}” sent more than an applet may, and was ended.`,
    left: t`The page of “${title}” tried to leave its frame, and was ended.`,
    message: t`The page of “${title}” sent what nobody can read, and was ended.`,
    oversized: t`The page of “${title}” sent a message that is too large, and was ended.`,
    silent: t`The page of “${title}” did not answer for five seconds, and was ended. The settings can be filled in without it.`,
    start: t`The page of “${title}” did not start. The settings can be filled in without it.`,
  }
  return <div>{texts[reason]}</div>
}
