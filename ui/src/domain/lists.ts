// Time servers and search domains. They are no columns of the sheet: most appliances have what their policy gives.

/** Entries with a space between them, or `none`; absent for what the policy gives. */
export interface Listed {
  ntp?: string
  search_domains?: string
}

/** That there are none, whatever the policy gives. */
export const NO_LIST = 'none'

export const LISTED: readonly (keyof Listed)[] = ['ntp', 'search_domains']

export function isListed(field: string): field is keyof Listed {
  return (LISTED as readonly string[]).includes(field)
}
