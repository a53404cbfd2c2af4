import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useCallback } from 'react'
import type { Alert, AlertEvent, Page } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { When } from '../components/When.tsx'
import { absolute } from '../domain/time.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { kinds, useList } from './loading.ts'
import { useFace } from './session.tsx'
import { happening } from './words.ts'

const CONCERNS = kinds('alert')

/** What became of an alert, oldest first. */
export function AlertHistory({ alert }: { alert: Alert }) {
  const { t, i18n } = useLingui()
  const { noc } = useFace()
  const load = useCallback(
    (after: string | null, limit: number) =>
      noc.get<Page<AlertEvent>>(`/v1/alerts/${alert.id}/events`, { after, limit }),
    [noc, alert.id],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || CONCERNS(changes)) list.refresh()
  })
  return (
    <section className={face.note} aria-label={t`What became of it`}>
      {list.problem ? <ProblemAlert problem={list.problem} /> : null}
      <ol className={face.list} data-testid={`events-${alert.id}`}>
        {list.rows.map((event) => (
          <li key={event.id}>
            <span className={face.name}>{happening(event.what)}</span>
            <span>{event.who || (event.actor === 'noc' ? t`by the NOC` : '')}</span>
            {event.until !== null ? (
              <span>
                <Trans>until {absolute(event.until, i18n.locale)}</Trans>
              </span>
            ) : null}
            {event.appliances > 0 ? (
              <span className="quiet">
                <Plural value={event.appliances} one="# appliance" other="# appliances" />
              </span>
            ) : null}
            {event.note ? <span>{event.note}</span> : null}
            <span className={page.grow} />
            <span className="quiet">
              <When at={event.time} exact />
            </span>
          </li>
        ))}
      </ol>
      {list.hasMore ? (
        <Button variant="subtle" fullWidth onClick={list.more}>
          <Trans>Show more</Trans>
        </Button>
      ) : null}
    </section>
  )
}
