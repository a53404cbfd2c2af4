import type { ApplicationDraft } from '../applets/settings.ts'
import type { EditedRow, PlanView } from '../bindings.ts'
import type { StateGroup } from './fleet.ts'

/** A configuration that is being prepared; it survives leaving the wizard. */
export interface Draft {
  site: number
  uids: string[]
  /** Label codes by UID. */
  codes: ReadonlyMap<string, string>
  plan: PlanView | null
  rows: EditedRow[]
  /** Settings of the site's applets. */
  application: ApplicationDraft
  step: number
}

/** How the screens were left, so that coming back finds them the same. Lost with the window, on purpose. */
export class ViewState {
  selection = new Set<string>()
  search = ''
  group: StateGroup | null = null
  filters: Record<string, unknown> = {}
  showFilters = false
  draft: Draft | null = null
}
