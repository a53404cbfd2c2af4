// What the wizard keeps together: plan, edits and findings.

import type { ApplianceRow, CellError, EditedRow, PlanView } from '../bindings.ts'
import { FIELDS, type Taken } from './settings.ts'

/** The rows that can be configured; what was edited before stays edited. */
export function withPlan(plan: PlanView, edited: readonly EditedRow[]): EditedRow[] {
  const known = new Map(edited.map((row) => [row.uid, row]))
  return plan.rows
    .filter((row) => row.ownership === 'owned' && !row.problem)
    .map((row) => known.get(row.uid) ?? { uid: row.uid, settings: { ...row.settings } })
}

/** A row whose settings have the document of the application. */
export type RowWithApplication = Omit<EditedRow, 'settings'> & {
  settings: EditedRow['settings'] & { application?: string }
}

/** The rows as they are sent: with the document of the application where there is one. */
export function withDocuments(
  rows: readonly EditedRow[],
  documents: ReadonlyMap<string, string>,
): RowWithApplication[] {
  return rows.map((row) => {
    const application = documents.get(row.uid)
    return application === undefined ? row : { ...row, settings: { ...row.settings, application } }
  })
}

/**
 * The findings that hold for the sheet as it is now: the local ones, and those of the last check whose cell was not
 * changed since. The same finding from both is shown once.
 */
export function mergeErrors(
  local: readonly CellError[],
  remote: readonly CellError[],
  checkedRows: readonly EditedRow[],
  rows: readonly EditedRow[],
): CellError[] {
  const checked = new Map(checkedRows.map((row) => [row.uid, row.settings]))
  const now = new Map(rows.map((row) => [row.uid, row.settings]))
  const isCurrent = ({ uid, field }: CellError) => {
    const name = FIELDS.find((one) => one === field)
    return name === undefined || checked.get(uid)?.[name] === now.get(uid)?.[name]
  }
  const merged = new Map<string, CellError>()
  for (const error of [...local, ...remote.filter(isCurrent)]) {
    const key = `${error.uid} ${error.field} ${error.code}`
    if (!merged.has(key)) merged.set(key, error)
  }
  return [...merged.values()]
}

/** Addresses and names that are in use, as far as this console knows. */
export function* takenBy(rows: Iterable<ApplianceRow>): Generator<Taken> {
  for (const { uid, mac, settings } of rows)
    if (settings.address || settings.host_name)
      yield {
        uid,
        name: settings.host_name || mac,
        host_name: settings.host_name,
        domain: settings.domain,
        address: settings.address,
      }
}
