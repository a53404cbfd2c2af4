import { Trans, useLingui } from '@lingui/react/macro'
import { useCallback } from 'react'
import { NavLink, Outlet, useOutletContext, useParams } from 'react-router'
import type { SiteView, Versioned } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import { BackLink } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('site', 'organisation')

/** What the parts of a site's page know of it. */
export interface OfSite {
  known: Versioned<SiteView>
  reload: () => void
  path: string
  mayChange: boolean
}

export function useSite(): OfSite {
  return useOutletContext<OfSite>()
}

/** One site: its policy, what it says of single models, what it keeps for whom, and what all that comes to. */
export function SitePage() {
  const { id = '' } = useParams()
  return (
    <div className={page.page}>
      <BackLink to="/sites">
        <Trans>Sites</Trans>
      </BackLink>
      <OneSite key={id} id={id} />
    </div>
  )
}

function OneSite({ id }: { id: string }) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const { organisation } = usePlaces()
  const path = `/v1/sites/${encodeURIComponent(id)}`
  const load = useCallback(() => noc.read<SiteView>(path), [noc, path])
  const { value: known, problem, reload } = useLoaded(load, CONCERNS)
  if (!known)
    return (
      <>
        <h1 className={page.title}>
          <Trans>Site</Trans>
        </h1>
        {problem ? <ProblemAlert problem={problem} /> : null}
      </>
    )
  const { value: site } = known
  const mayChange = may(me.operator, 'administrator', site.organisation, [site.id])
  const context: OfSite = { known, reload, path, mayChange }
  return (
    <>
      <header className={page.head}>
        <h1 className={`${page.title} ${face.name}`}>{site.policy.name}</h1>
        <span className="quiet">{organisation(site.organisation)}</span>
      </header>
      <nav className={face.tabs} aria-label={t`Parts of the site`}>
        <NavLink to={`/sites/${id}/overview`} data-testid="tab-overview">
          <Trans>Overview</Trans>
        </NavLink>
        <NavLink to={`/sites/${id}`} end data-testid="tab-policy">
          <Trans>Policy</Trans>
        </NavLink>
        <NavLink to={`/sites/${id}/models`} data-testid="tab-models">
          <Trans>Models</Trans>
        </NavLink>
        <NavLink to={`/sites/${id}/reservations`} data-testid="tab-reservations">
          <Trans>Reservations</Trans>
        </NavLink>
        <NavLink to={`/sites/${id}/monitoring`} data-testid="tab-monitoring">
          <Trans>Monitoring</Trans>
        </NavLink>
        <NavLink to={`/sites/${id}/result`} data-testid="tab-result">
          <Trans>What appliances get</Trans>
        </NavLink>
      </nav>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <Outlet context={context} />
    </>
  )
}
