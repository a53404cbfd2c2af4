// The end of an appliance's service.

import type { Settings } from './noc.ts'

/** What becomes of an appliance's role. */
export interface ApplianceRole {
  /** What it is to take over at its next configuration. */
  takes_over: Settings | null
  /** Which appliance has taken over from it. */
  replaced_by: string | null
}
