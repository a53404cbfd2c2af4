import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconMapPin, IconPlus } from '@tabler/icons-react'
import { useCallback, useMemo } from 'react'
import { Link } from 'react-router'
import type { Page, SiteView } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { kinds, useLiveList } from './loading.ts'
import { usePlaces } from './places.tsx'
import type { Column } from './Rows.tsx'
import { ListPage } from './Scaffold.tsx'
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
  const list = useLiveList(load, CONCERNS)
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
        cell: (site) =>
          may(me.operator, 'viewer', site.organisation) ? (
            <Link to={`/organisations/${site.organisation}`}>{organisation(site.organisation)}</Link>
          ) : (
            organisation(site.organisation)
          ),
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
        id: 'overview',
        title: t`How it is`,
        width: '100px',
        cell: (site) => (
          <Link
            to={`/sites/${site.id}/overview`}
            aria-label={t`Overview of ${String(site.policy.name)}`}
            data-testid={`overview-${site.id}`}
          >
            <Trans>Overview</Trans>
          </Link>
        ),
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
    [organisation, me, t],
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
  const whole = organisations.filter(({ id }) => may(me.operator, 'viewer', id))
  const only = whole.length === 1 ? whole[0] : undefined
  return (
    <ListPage
      title={<Trans>Sites</Trans>}
      label={t`Sites`}
      testid="sites"
      list={list}
      idOf={idOf}
      columns={columns}
      tools={
        <>
          {whole.length > 0 ? (
            <Button
              component={Link}
              to={only ? `/organisations/${only.id}` : '/organisations'}
              variant="default"
              data-testid="organisations"
            >
              {only ? <Trans>What {only.name} says</Trans> : <Trans>What organisations say</Trans>}
            </Button>
          ) : null}
          {add}
        </>
      }
      empty={
        <Empty icon={<IconMapPin size={28} />} title={<Trans>No sites yet</Trans>}>
          <Trans>
            A site is one network with its addresses and rules. An administrator of the organisation adds it.
          </Trans>
        </Empty>
      }
    />
  )
}

const idOf = (site: SiteView) => String(site.id)
