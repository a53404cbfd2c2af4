import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconFileDiff, IconPlus } from '@tabler/icons-react'
import { useCallback, useMemo } from 'react'
import { Link } from 'react-router'
import type { Draft, Page } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { kinds, useLiveList } from './loading.ts'
import { usePlaces } from './places.tsx'
import type { Column } from './Rows.tsx'
import { ListPage } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'
import { draftBadge, rowsInWords } from './words.ts'

const CONCERNS = kinds('draft', 'appliance')

/** Changes of many appliances: those that wait for a decision, and those that were made. */
export function DraftsPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const { site, sites } = usePlaces()
  const mayMake = sites.some(({ id, organisation }) => may(me.operator, 'operator', organisation, [id]))
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Draft>>('/v1/drafts', { after, limit }),
    [noc],
  )
  const list = useLiveList(load, (changes) => CONCERNS(changes) || changes.appliances.length > 0)
  const columns = useMemo(
    (): Column<Draft>[] => [
      {
        id: 'title',
        title: t`Draft`,
        width: 'minmax(160px, 2fr)',
        cell: (draft) => <Link to={`/drafts/${draft.id}`}>{draft.title}</Link>,
        full: (draft) => draft.title,
      },
      {
        id: 'site',
        title: t`Sites`,
        width: '1fr',
        cell: (draft) => draft.sites.map(site).join(', '),
        full: (draft) => draft.sites.map(site).join(', '),
      },
      {
        id: 'state',
        title: t`State`,
        width: '150px',
        cell: (draft) => <StatusBadge badge={draftBadge(draft.state)} />,
      },
      {
        id: 'rows',
        title: t`Appliances`,
        width: '1.5fr',
        cell: (draft) => rowsInWords(draft.rows),
        full: (draft) => rowsInWords(draft.rows),
      },
      { id: 'made', title: t`Made`, width: '140px', cell: (draft) => <When at={draft.made} /> },
    ],
    [site, t],
  )
  return (
    <ListPage
      title={<Trans>Drafts</Trans>}
      label={t`Drafts`}
      testid="drafts"
      list={list}
      idOf={idOf}
      columns={columns}
      tools={
        mayMake ? (
          <Button
            component={Link}
            to="/drafts/new"
            data-testid="draft-add"
            leftSection={<IconPlus size={15} aria-hidden />}
          >
            <Trans>New draft</Trans>
          </Button>
        ) : null
      }
      empty={
        <Empty icon={<IconFileDiff size={28} />} title={<Trans>No drafts yet</Trans>}>
          <Trans>
            A draft changes many appliances at once, of one site or several. It is reviewed as one difference
            before anything is changed.
          </Trans>
        </Empty>
      }
    />
  )
}

const idOf = (draft: Draft) => String(draft.id)
