import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconPlus, IconSend } from '@tabler/icons-react'
import { useCallback, useState } from 'react'
import type { Channel, Page } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { ChannelForm } from './ChannelForm.tsx'
import { ChannelRow } from './ChannelRow.tsx'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { kinds, useList } from './loading.ts'
import { usePlaces } from './places.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('channel', 'alert')

/** Where organisations are told of their alerts. */
export function ChannelsPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  const [isAdding, setAdding] = useState(false)
  const own = places.organisations.filter((one) => may(me.operator, 'administrator', one.id))
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Channel>>('/v1/channels', { after, limit }),
    [noc],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || CONCERNS(changes)) list.refresh()
  })
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Channels</Trans>
        </h1>
        <div className={page.grow} />
        {own.length > 0 && !isAdding ? (
          <Button
            data-testid="channel-add"
            leftSection={<IconPlus size={15} aria-hidden />}
            onClick={() => setAdding(true)}
          >
            <Trans>Add a channel…</Trans>
          </Button>
        ) : null}
      </header>
      <div className={face.stack}>
        {isAdding ? (
          <section className={page.card} aria-label={t`New channel`}>
            <div className={page.cardHead}>
              <h2>
                <Trans>New channel</Trans>
              </h2>
            </div>
            <div className={page.cardBody}>
              <ChannelForm
                organisations={own}
                onDone={() => {
                  setAdding(false)
                  list.refresh()
                }}
              />
            </div>
          </section>
        ) : null}
        {list.problem ? <ProblemAlert problem={list.problem} /> : null}
        {list.isReady && list.rows.length === 0 && !isAdding ? (
          <Empty icon={<IconSend size={28} />} title={<Trans>No channels yet</Trans>}>
            <Trans>
              Alerts are shown here and in consoles. A channel tells of them by mail, by a signed webhook or
              through a Prometheus Alertmanager.
            </Trans>
          </Empty>
        ) : null}
        {list.rows.length > 0 ? (
          <section className={page.card} aria-label={t`Channels`}>
            <ul className={face.list} data-testid="channels">
              {list.rows.map((channel) => (
                <ChannelRow key={channel.id} channel={channel} onDone={list.refresh} />
              ))}
            </ul>
            {list.hasMore ? (
              <Button variant="subtle" fullWidth onClick={list.more}>
                <Trans>Show more</Trans>
              </Button>
            ) : null}
          </section>
        ) : null}
      </div>
    </div>
  )
}
