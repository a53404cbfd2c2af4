// What the simulated site is called, and how it refuses.

import type { ProblemView, SiteView } from '../bindings.ts'

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
