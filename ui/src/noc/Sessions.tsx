import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { type NocProblem, type Page, type Query, type SessionView, toNocProblem } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLiveList } from './loading.ts'
import { Card, More } from './Scaffold.tsx'
import { useFace } from './session.tsx'

const CONCERNS = kinds('operator')

interface Props {
  title: string
  /** Whose: one's own, an operator's or an organisation's. Must keep its identity. */
  query: Query
  /** Says whose each is. */
  isOfMany?: boolean
}

/** Where somebody is signed in, and the end of it. */
export function Sessions({ title, query, isOfMany = false }: Props) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const announce = useAnnounce()
  const load = useCallback(
    (after: string | null, limit: number) =>
      noc.get<Page<SessionView>>('/v1/sessions', { ...query, after, limit }),
    [noc, query],
  )
  const list = useLiveList(load, CONCERNS)
  const [refused, setRefused] = useState<NocProblem | null>(null)
  const end = (id: number) =>
    noc.remove(`/v1/sessions/${id}`).then(
      () => {
        setRefused(null)
        announce(t`The session has ended.`)
        list.refresh()
      },
      (reason: unknown) => setRefused(toNocProblem(reason)),
    )
  const problem = refused ?? list.problem
  return (
    <Card title={title} isFlush>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {list.isReady && list.rows.length === 0 ? (
        <p className={`${page.cardBody} quiet`}>
          <Trans>Nobody is signed in.</Trans>
        </p>
      ) : (
        <ul className={face.list} data-testid="sessions">
          {list.rows.map(({ id, login, address, program, used }) => (
            <li key={id} data-testid="session">
              <span className={face.name}>{isOfMany ? login : address}</span>
              {id === me.session.id ? (
                <StatusBadge badge={{ tone: 'info', icon: 'check', text: t`This session` }} />
              ) : null}
              {isOfMany ? <span>{address}</span> : null}
              <span className={`${face.wide} quiet`}>{program}</span>
              <span className="quiet">
                <Trans>
                  used <When at={used} />
                </Trans>
              </span>
              {id === me.session.id ? null : (
                <Button
                  variant="default"
                  aria-label={
                    isOfMany
                      ? t`End the session of ${login} from ${address}`
                      : t`End the session from ${address}`
                  }
                  data-testid="session-end"
                  onClick={() => end(id)}
                >
                  <Trans>End</Trans>
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      <More list={list} />
    </Card>
  )
}
