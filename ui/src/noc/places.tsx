// Names of organisations and sites: every page shows them, so they are read once and kept up to date.

import { createContext, type ReactNode, useCallback, useContext, useMemo } from 'react'
import type { Organisation, Page, SiteView } from '../backend/noc.ts'
import { kinds, useLoaded } from './loading.ts'
import { useFace } from './session.tsx'

const CONCERNS = kinds('site', 'organisation')
const MOST = 1_000

export interface Places {
  organisations: readonly Organisation[]
  sites: readonly SiteView[]
  organisation: (id: number) => string
  site: (id: number) => string
}

const PlacesContext = createContext<Places | null>(null)

export function usePlaces(): Places {
  const places = useContext(PlacesContext)
  if (!places) throw new Error('no places: wrap this in PlacesProvider')
  return places
}

export function PlacesProvider({ children }: { children: ReactNode }) {
  const { noc } = useFace()
  const load = useCallback(async () => {
    const [organisations, sites] = await Promise.all([
      noc.get<Page<Organisation>>('/v1/organisations', { limit: MOST }),
      noc.get<Page<SiteView>>('/v1/sites', { limit: MOST }),
    ])
    return { organisations: organisations.items, sites: sites.items }
  }, [noc])
  const { value } = useLoaded(load, CONCERNS)
  const places = useMemo((): Places => {
    const organisations = new Map(value?.organisations.map((one) => [one.id, one.name]))
    const sites = new Map(value?.sites.map((one) => [one.id, String(one.policy.name)]))
    // Nothing for a moment, rather than numbers that turn into names.
    const number = (id: number) => (value ? `#${id}` : '')
    return {
      organisations: value?.organisations ?? [],
      sites: value?.sites ?? [],
      organisation: (id) => organisations.get(id) ?? number(id),
      site: (id) => sites.get(id) ?? number(id),
    }
  }, [value])
  return <PlacesContext.Provider value={places}>{children}</PlacesContext.Provider>
}
