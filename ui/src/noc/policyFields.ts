// The fields of a site's policy, in the order of the form. A new value of the NOC's `SiteSpec` is one more row here; what is
// not here is kept as it was.

import { t } from '@lingui/core/macro'
import type { OrganisationPolicy, Policy, PolicyValues, Profile } from '../backend/noc.ts'

// Written as the NOC reads them, which the catalogue would take for its own.
const [N, N03, SITE, MODEL, SERIAL, MAC] = ['{n}', '{n:03}', '{site}', '{model}', '{serial}', '{mac}']

export interface PolicyField {
  name: string
  label: string
  hint?: string
  /** `number`: sent as one. `choice`: one of `choices`; the empty one is sent as null. */
  kind: 'text' | 'number' | 'choice'
  choices?: { value: string; label: string }[]
  isRequired?: boolean
  /** A site may have it from its organisation. */
  isInheritable?: boolean
  /** What a new site begins with. */
  initial: string
}

export function policyFields(): PolicyField[] {
  const text = (name: string, label: string, more: Partial<PolicyField> = {}): PolicyField => ({
    name,
    label,
    kind: 'text',
    initial: '',
    ...more,
  })
  return [
    text('name', t`Name`, { isRequired: true }),
    text('pool', t`Address pool`, {
      isRequired: true,
      hint: t`First and last address, as 192.0.2.10-192.0.2.99; several ranges separated by commas.`,
    }),
    text('exclude', t`Addresses not given out`, {
      hint: t`As 192.0.2.20-192.0.2.29, 192.0.2.40; IPv6 as well. An administrator may still type one.`,
    }),
    text('netmask', t`Netmask`, { isRequired: true, initial: '255.255.255.0' }),
    text('gateway', t`Gateway`),
    text('domain', t`Domain`, { isRequired: true, isInheritable: true }),
    text('dns1', t`DNS 1`, { isInheritable: true }),
    text('dns2', t`DNS 2`, { isInheritable: true }),
    text('ntp', t`Time servers`, {
      isInheritable: true,
      hint: t`Up to three addresses or names, as ntp.example.net 192.0.2.123. Empty: none.`,
    }),
    text('search_domains', t`Search domains`, {
      isInheritable: true,
      hint: t`Up to three, searched after the domain itself. Empty: none.`,
    }),
    text('pool6', t`IPv6 addresses`, { hint: t`As 2001:db8::/64, or a range with its prefix. Empty: none.` }),
    text('gateway6', t`IPv6 gateway`),
    text('host_name', t`Host names`, {
      isRequired: true,
      isInheritable: true,
      initial: '{model}-{n:03}',
      hint: t`${N} is a number that is unique at the site, ${N03} with three digits; ${SITE} is the site's name, ${MODEL}, ${SERIAL} and ${MAC} are the appliance's own.`,
    }),
    text('beat_interval_s', t`Seconds between beats`, {
      kind: 'number',
      isRequired: true,
      isInheritable: true,
      initial: '60',
    }),
    text('confirm', t`Settings are final after`, {
      kind: 'choice',
      isInheritable: true,
      initial: 'kick_start',
      choices: [
        { value: 'kick_start', label: t`the console's kick-start` },
        { value: 'first_beat', label: t`the first beat that the NOC accepted` },
      ],
    }),
    text('window_s', t`Seconds until a rollback`, {
      kind: 'number',
      isRequired: true,
      isInheritable: true,
      initial: '90',
      hint: t`Settings that are not confirmed by then are taken back by the appliance.`,
    }),
    text('drift', t`Settings changed by hand`, {
      kind: 'choice',
      isInheritable: true,
      choices: [
        { value: '', label: t`as the appliance's image says` },
        { value: 'report', label: t`are reported` },
        { value: 'restore', label: t`are set back` },
      ],
    }),
    text('application', t`Application settings`, {
      isInheritable: true,
      hint: t`One JSON object for the vendor's application. Empty: none.`,
    }),
    text('proof', t`Proof of ownership required`, {
      kind: 'choice',
      isInheritable: true,
      initial: 'any',
      hint: t`An appliance that asks for less, by what it signs itself, gets nothing. Those that follow this NOC already keep what they have.`,
      choices: [
        { value: 'any', label: t`none: also of appliances that take whoever comes first` },
        { value: 'claim', label: t`the code of the label, or a voucher` },
        { value: 'voucher', label: t`a voucher of the vendor` },
      ],
    }),
  ]
}

/** The values that an organisation, or a site of one model, may say something about. Pools are a site's own. */
export function saidFields(withPools: boolean): PolicyField[] {
  const said = policyFields().filter(
    ({ name, isInheritable }) => isInheritable || (withPools && (name === 'pool' || name === 'pool6')),
  )
  // Here the image's own way is said in so many words: nothing would mean that nothing is said.
  const choices = (field: PolicyField) =>
    field.choices?.map((one) => ({ ...one, value: one.value || 'image' }))
  return said.map((field) =>
    field.name === 'drift' ? { ...field, choices: choices(field) ?? [], initial: 'image' } : field,
  )
}

/** By the names of the fields; and, under `INHERIT`, the names of those that are the organisation's, with commas between. */
export type Values = Record<string, string>
export const INHERIT = 'inherit'

/** What the form shows of a policy. */
export function toValues(fields: readonly PolicyField[], policy: Policy | null): Values {
  const shown = (field: PolicyField) => (policy ? String(policy[field.name] ?? '') : field.initial)
  const inherited = policy?.[INHERIT]
  const values = Object.fromEntries(fields.map((field) => [field.name, shown(field)]))
  return { ...values, [INHERIT]: Array.isArray(inherited) ? [...inherited].sort().join() : '' }
}

/** The names of the values that are the organisation's. */
export function inheritedOf(values: Values): string[] {
  return (values[INHERIT] ?? '').split(',').filter((name) => name !== '')
}

export function isSame(a: Values, b: Values): boolean {
  return Object.keys(a).every((name) => a[name] === b[name])
}

/** The policy with what the form says; values that the form does not know stay. */
export function toPolicy(fields: readonly PolicyField[], before: Policy | null, values: Values): Policy {
  const said = fields.map(({ name, kind }) => {
    const value = (values[name] ?? '').trim()
    if (kind === 'number') return [name, value === '' ? 0 : Number(value)] as const
    return [name, kind === 'choice' && value === '' ? null : value] as const
  })
  return { ...before, ...Object.fromEntries(said), [INHERIT]: inheritedOf(values) }
}

/** What an organisation says, alike whatever the order in which it was said. */
export function textOfPolicy({ values, profiles }: OrganisationPolicy): string {
  return JSON.stringify([sorted(values), textOfProfiles(profiles)])
}

/** The same of profiles. */
export function textOfProfiles(profiles: readonly Profile[]): string {
  return JSON.stringify(profiles.map(({ model, values }) => [model, sorted(values)]))
}

function sorted(values: PolicyValues): [string, string | number][] {
  return Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
}
