// Names of organisations and sites: every page shows them, so they are read once and kept up to date.

import { useCallback, useMemo } from 'react'
import type { Organisation, Page, SiteView } from '../backend/noc.ts'
import { kinds, useLoaded } from './loading.ts'
import { useFace } from './session.tsx'

const CONCERNS = kinds('site', 'organisation')
const MOST = 1_000

export interface Places {
  organisations: readonly Organisation[]
  sites: readonly SiteView[]
  isReady: boolean
  organisation: (id: number) => string
  site: (id: number) => string
}

export function usePlaces(): Places {
  const { noc } = useFace()
  const load = useCallback(async () => {
    const [organisations, sites] = await Promise.all([
      noc.get<Page<Organisation>>('/v1/organisations', { limit: MOST }),
      noc.get<Page<SiteView>>('/v1/sites', { limit: MOST }),
    ])
    return { organisations: organisations.items, sites: sites.items }
  }, [noc])
  const { value } = useLoaded(load, CONCERNS)
  return useMemo(() => {
    const organisations = new Map(value?.organisations.map((one) => [one.id, one.name]))
    const sites = new Map(value?.sites.map((one) => [one.id, String(one.policy.name)]))
    return {
      organisations: value?.organisations ?? [],
      sites: value?.sites ?? [],
      isReady: value !== null,
      organisation: (id) => organisations.get(id) ?? `#${id}`,
      site: (id) => sites.get(id) ?? `#${id}`,
    }
  }, [value])
}
