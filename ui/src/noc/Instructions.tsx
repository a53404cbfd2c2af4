import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import {
  type Act,
  type ApplianceLog,
  type Instruction,
  type NocProblem,
  type Page,
  toNocProblem,
} from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { isControl } from '../domain/shown.ts'
import page from '../pages/page.module.css'
import { download } from './download.ts'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { Card } from './Scaffold.tsx'
import { useFace } from './session.tsx'
import { actName, instructionBadge } from './words.ts'

const APPLIANCE = kinds('appliance')
/** What is told here. The end of its service has dialogs of its own. */
const ACTS: readonly Act[] = ['reboot', 'send_log']

interface Props {
  uid: string
  /** It follows this NOC, and whoever looks may tell it something. */
  mayTell: boolean
}

/** What an appliance is told to do, once, with the answer to its next beat; and the log that it sends. */
export function Instructions({ uid, mayTell }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const path = `/v1/appliances/${encodeURIComponent(uid)}`
  const load = useCallback(() => noc.get<Page<Instruction>>(`${path}/instructions`), [noc, path])
  const { value, problem, reload } = useLoaded(
    load,
    (changes) => APPLIANCE(changes) || changes.appliances.some((row) => row.uid === uid),
  )
  const [asking, setAsking] = useState<Act | null>(null)
  const [refused, setRefused] = useState<NocProblem | null>(null)
  const items = value?.items ?? []
  const isWaiting = items.some(({ done, expires }) => done === null && expires * 1000 > Date.now())
  const run = (work: Promise<unknown>, said: string) => {
    setAsking(null)
    work.then(
      () => {
        setRefused(null)
        announce(said)
        reload()
      },
      (reason: unknown) => setRefused(toNocProblem(reason)),
    )
  }
  const tell = (act: Act) =>
    run(
      noc.post(`${path}/instructions`, { act }),
      t`It goes to the appliance with the answer to its next beat.`,
    )
  const shown = refused ?? problem
  if (!mayTell && items.length === 0) return null
  return (
    <div className={face.below}>
      <Card
        title={t`Instructions`}
        isFlush
        tools={
          mayTell && isWaiting ? (
            <Button
              size="compact-xs"
              variant="default"
              data-testid="work-take-back"
              onClick={() => run(noc.remove(`${path}/work`), t`Taken back.`)}
            >
              <Trans>Take back what waits</Trans>
            </Button>
          ) : null
        }
      >
        {shown ? <ProblemAlert problem={shown} /> : null}
        {mayTell ? (
          <div className={`${page.cardBody} ${page.actions}`}>
            {asking === null ? (
              ACTS.map((act) => (
                <Button
                  key={act}
                  variant="default"
                  data-testid={`tell-${act}`}
                  onClick={() => (act === 'send_log' ? tell(act) : setAsking(act))}
                >
                  {actName(act)}
                </Button>
              ))
            ) : (
              <>
                <span>
                  <Trans>It restarts, once, and is away for as long as that takes.</Trans>
                </span>
                <Button color="red.9" autoFocus data-testid="tell-sure" onClick={() => tell(asking)}>
                  {actName(asking)}
                </Button>
                <Button variant="default" onClick={() => setAsking(null)}>
                  <Trans>Cancel</Trans>
                </Button>
              </>
            )}
          </div>
        ) : null}
        <ul className={face.list} data-testid="instructions">
          {items.map((one) => (
            <li key={one.serial} data-testid="instruction">
              <span className={face.name}>{actName(one.act)}</span>
              <StatusBadge badge={instructionBadge(one)} />
              <span className={page.grow} />
              <span className="quiet">
                <When at={one.done ?? one.given ?? one.issued} exact />
              </span>
            </li>
          ))}
        </ul>
        {mayTell && items.some(({ act }) => act === 'send_log') ? (
          <Log
            path={path}
            uid={uid}
            key={items.filter(({ act, done }) => act === 'send_log' && done).length}
          />
        ) : null}
      </Card>
    </div>
  )
}

/** The newest log that came, when it is asked for. */
function Log({ path, uid }: { path: string; uid: string }) {
  const { noc } = useFace()
  const [log, setLog] = useState<ApplianceLog | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const read = () =>
    noc.get<ApplianceLog>(`${path}/log`).then(
      (found) => {
        setLog(found)
        setProblem(null)
      },
      (reason: unknown) => setProblem(toNocProblem(reason)),
    )
  return (
    <div className={page.cardBody}>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div className={page.actions}>
        <Button variant="default" onClick={read} data-testid="log-show">
          <Trans>Show its newest log</Trans>
        </Button>
        {log ? (
          <>
            <Button variant="default" onClick={() => download(`${uid}.log`, log.text)} data-testid="log-save">
              <Trans>Save it</Trans>
            </Button>
            <span className="quiet">
              <Trans>
                came <When at={log.taken} exact />
              </Trans>
            </span>
          </>
        ) : null}
      </div>
      {log ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        <pre className={`${face.answer} mono`} tabIndex={0} data-testid="log">
          {printable(log.text)}
        </pre>
      ) : null}
    </div>
  )
}

/** What an appliance says, without characters that could disturb the page around it. */
function printable(text: string): string {
  return [...text].map((c) => (c !== '\n' && c !== '\t' && isControl(c) ? '�' : c)).join('')
}
