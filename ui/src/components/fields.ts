import { t } from '@lingui/core/macro'
import type { Listed } from '../domain/lists.ts'
import type { Field } from '../domain/settings.ts'

/** What the administrator calls a setting. */
export function fieldName(field: Field | keyof Listed | 'application'): string {
  switch (field) {
    case 'host_name':
      return t`Host name`
    case 'domain':
      return t`Domain`
    case 'address':
      return t`IP`
    case 'netmask':
      return t`Netmask`
    case 'gateway':
      return t`Gateway`
    case 'dns1':
      return t`DNS 1`
    case 'dns2':
      return t`DNS 2`
    case 'address6':
      return t`IPv6`
    case 'gateway6':
      return t`IPv6 gateway`
    case 'ntp':
      return t`Time servers`
    case 'search_domains':
      return t`Search domains`
    case 'application':
      return t`Application settings`
  }
}
