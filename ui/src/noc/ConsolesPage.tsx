import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconDeviceDesktop, IconPlus } from '@tabler/icons-react'
import { useCallback, useMemo, useState } from 'react'
import { Link } from 'react-router'
import type { Console, Page } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { InviteForm, InviteList } from './Invites.tsx'
import { kinds, useLiveList } from './loading.ts'
import { usePlaces } from './places.tsx'
import type { Column } from './Rows.tsx'
import { ListPage } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('console', 'invite')

/** Every console that one sees. */
export function ConsolesPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  const [isInviting, setInviting] = useState(false)
  const mayInvite = places.sites.some((site) => may(me.operator, 'operator', site.organisation, [site.id]))
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Console>>('/v1/consoles', { after, limit }),
    [noc],
  )
  const list = useLiveList(load, CONCERNS)
  const columns = useMemo((): Column<Console>[] => {
    const sites = (console: Console) => console.sites.map(places.site).join(', ')
    return [
      {
        id: 'name',
        title: t`Console`,
        width: 'minmax(160px, 1.5fr)',
        cell: (console) => <Link to={`/consoles/${console.id}`}>{console.name}</Link>,
        full: (console) => console.name,
      },
      { id: 'number', title: t`Number`, width: '80px', cell: (console) => console.id },
      { id: 'sites', title: t`Sites`, width: '1.5fr', cell: sites, full: sites },
      {
        id: 'organisation',
        title: t`Organisation`,
        width: '1fr',
        cell: (console) => places.organisation(console.organisation),
        full: (console) => places.organisation(console.organisation),
      },
      {
        id: 'enrolled',
        title: t`Enrolled`,
        width: '130px',
        cell: (console) => <When at={console.enrolled} />,
      },
      {
        id: 'state',
        title: t`State`,
        width: '130px',
        cell: (console) =>
          console.revoked === null ? (
            <StatusBadge badge={{ tone: 'good', icon: 'check', text: t`Admitted` }} />
          ) : (
            <StatusBadge badge={{ tone: 'idle', icon: 'dash', text: t`Revoked` }} />
          ),
      },
    ]
  }, [places, t])
  return (
    <ListPage
      title={<Trans>Consoles</Trans>}
      label={t`Consoles`}
      testid="consoles"
      list={list}
      idOf={idOf}
      columns={columns}
      tools={
        mayInvite && !isInviting ? (
          <Button
            data-testid="invite"
            leftSection={<IconPlus size={15} aria-hidden />}
            onClick={() => setInviting(true)}
          >
            <Trans>Invite a console…</Trans>
          </Button>
        ) : null
      }
      above={
        <>
          {isInviting ? <InviteForm onDone={() => setInviting(false)} /> : null}
          <InviteList />
        </>
      }
      empty={
        <Empty icon={<IconDeviceDesktop size={28} />} title={<Trans>No consoles yet</Trans>}>
          <Trans>A console is the desktop app at a site. Make an invite for it and paste it there.</Trans>
        </Empty>
      }
    />
  )
}

const idOf = (console: Console) => String(console.id)
