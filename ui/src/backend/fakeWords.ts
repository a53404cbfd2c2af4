// What the simulated site is called, and how it refuses.

import type { ProblemView, SiteSetup, SiteView } from '../bindings.ts'

export const SITES: SiteView[] = [
  {
    id: 1,
    name: 'Practice site',
    policy: [
      'Addresses 10.20.1.0-10.20.254.254',
      'Netmask 255.255.0.0',
      'Names {model}-{n:03}.site.example.net',
    ],
  },
]

export function problem(code: string, message: string, remedy: string): ProblemView {
  return { code, message, remedy }
}

export const SETUP: SiteSetup = {
  name: 'Main office',
  pool: '192.0.2.10-192.0.2.99',
  netmask: '255.255.255.0',
  gateway: '192.0.2.1',
  domain: 'office.example.net',
  dns1: '192.0.2.1',
  dns2: '',
  pool6: '',
  gateway6: '',
  host_name: '{model}-{n:03}',
  noc_address: '192.0.2.5:8443',
  practice: true,
}
