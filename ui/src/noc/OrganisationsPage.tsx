import { Trans, useLingui } from '@lingui/react/macro'
import { IconBuilding } from '@tabler/icons-react'
import { useCallback, useMemo } from 'react'
import { Link } from 'react-router'
import type { Organisation, Page } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { kinds, useLiveList } from './loading.ts'
import type { Column } from './Rows.tsx'
import { ListPage } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('organisation')

/** Every organisation that one has a role in; what those say that one sees the whole of. */
export function OrganisationsPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const load = useCallback(
    (after: string | null, limit: number) =>
      noc.get<Page<Organisation>>('/v1/organisations', { after, limit }),
    [noc],
  )
  const list = useLiveList(load, CONCERNS)
  const columns = useMemo(
    (): Column<Organisation>[] => [
      {
        id: 'name',
        title: t`Organisation`,
        width: '2fr',
        cell: ({ id, name }) =>
          may(me.operator, 'viewer', id) ? <Link to={`/organisations/${id}`}>{name}</Link> : name,
        full: ({ name }) => name,
      },
      {
        id: 'handle',
        title: t`Handle`,
        width: '1fr',
        cell: ({ handle }) => <span className="mono">{handle}</span>,
        full: ({ handle }) => handle,
      },
    ],
    [me, t],
  )
  return (
    <ListPage
      title={<Trans>Organisations</Trans>}
      label={t`Organisations`}
      testid="organisations-list"
      list={list}
      idOf={idOf}
      columns={columns}
      empty={
        <Empty icon={<IconBuilding size={28} />} title={<Trans>No organisation yet</Trans>}>
          <Trans>You have a role in none. Ask an administrator.</Trans>
        </Empty>
      }
    />
  )
}

const idOf = ({ id }: Organisation) => String(id)
