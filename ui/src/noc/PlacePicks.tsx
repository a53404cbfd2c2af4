import { useLingui } from '@lingui/react/macro'
import { NativeSelect } from '@mantine/core'
import type { SiteView } from '../backend/noc.ts'
import face from './face.module.css'
import { usePlaces } from './places.tsx'

interface Props {
  /** Its number, or empty for all. */
  value: string
  onChange: (value: string) => void
  testid: string
}

/** Which organisation a list is of. Whoever sees one only has nothing to choose. */
export function OrganisationPick({ value, onChange, testid }: Props) {
  const { t } = useLingui()
  const { organisations } = usePlaces()
  if (organisations.length <= 1) return null
  return (
    <NativeSelect
      className={face.pick}
      aria-label={t`Organisation`}
      data-testid={testid}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      data={[
        { value: '', label: t`All organisations` },
        ...organisations.map(({ id, name }) => ({ value: String(id), label: name })),
      ]}
    />
  )
}

/** Which site a list is of. */
export function SitePick({ sites, value, onChange, testid }: Props & { sites: readonly SiteView[] }) {
  const { t } = useLingui()
  return (
    <NativeSelect
      className={face.pick}
      aria-label={t`Site`}
      data-testid={testid}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      data={[
        { value: '', label: t`All sites` },
        ...sites.map(({ id, policy }) => ({ value: String(id), label: String(policy.name) })),
      ]}
    />
  )
}
