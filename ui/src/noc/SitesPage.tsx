import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconMapPin, IconPlus } from '@tabler/icons-react'
import { useCallback, useMemo } from 'react'
import { Link } from 'react-router'
import type { Page, SiteView } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { kinds, useList } from './loading.ts'
import { usePlaces } from './places.tsx'
import { type Column, Rows } from './Rows.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('site')

/** Every site that one sees. */
export function SitesPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const { organisation, organisations } = usePlaces()
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<SiteView>>('/v1/sites', { after, limit }),
    [noc],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || CONCERNS(changes)) list.refresh()
  })
  const columns = useMemo(
    (): Column<SiteView>[] => [
      {
        id: 'name',
        title: t`Site`,
        width: 'minmax(140px, 1.5fr)',
        cell: (site) => <Link to={`/sites/${site.id}`}>{site.policy.name}</Link>,
        full: (site) => String(site.policy.name),
      },
      {
        id: 'organisation',
        title: t`Organisation`,
        width: '1fr',
        cell: (site) => organisation(site.organisation),
        full: (site) => organisation(site.organisation),
      },
      {
        id: 'pool',
        title: t`Address pool`,
        width: '1.5fr',
        cell: (site) => site.policy.pool,
        full: (site) => String(site.policy.pool),
      },
      {
        id: 'host_name',
        title: t`Host names`,
        width: '1fr',
        cell: (site) => <span className="mono">{site.policy.host_name}</span>,
        full: (site) => String(site.policy.host_name),
      },
      {
        id: 'appliances',
        title: t`Appliances`,
        width: '110px',
        cell: (site) => (
          <Link to={`/?site=${site.id}`} aria-label={t`Show the appliances of ${String(site.policy.name)}`}>
            <Trans>Show</Trans>
          </Link>
        ),
      },
    ],
    [organisation, t],
  )
  const mayAdd = organisations.some(({ id }) => may(me.operator, 'administrator', id))
  const add = mayAdd ? (
    <Button
      component={Link}
      to="/sites/new"
      data-testid="site-add"
      leftSection={<IconPlus size={15} aria-hidden />}
    >
      <Trans>Add a site</Trans>
    </Button>
  ) : null
  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>
          <Trans>Sites</Trans>
        </h1>
        <div className={page.grow} />
        {add}
      </header>
      {list.problem ? (
        <div className={face.problem}>
          <ProblemAlert problem={list.problem} />
        </div>
      ) : null}
      {list.isReady && list.rows.length === 0 ? (
        <Empty icon={<IconMapPin size={28} />} title={<Trans>No sites yet</Trans>}>
          <Trans>
            A site is one network with its addresses and rules. An administrator of the organisation adds it.
          </Trans>
        </Empty>
      ) : (
        <Rows
          label={t`Sites`}
          testid="sites"
          rows={list.rows}
          idOf={idOf}
          columns={columns}
          hasMore={list.hasMore}
          onEnd={list.more}
        />
      )}
    </div>
  )
}

const idOf = (site: SiteView) => String(site.id)
