import { expect, test } from 'vitest'
import type { CellError, EditedRow, PlanView } from '../bindings.ts'
import { NO_SETTINGS } from './settings.ts'
import { mergeErrors, withPlan } from './wizard.ts'

const settings = (host_name: string) => ({ ...NO_SETTINGS, host_name })
const planned = (uid: string, ownership: 'owned' | 'unclaimed' = 'owned') => ({
  uid,
  mac: uid,
  model: '',
  ownership,
  settings: settings(`plan-${uid}`),
  current: NO_SETTINGS,
  rules: {},
  problem: null,
})
const plan: PlanView = { site: 1, expires: 0, rows: [planned('A'), planned('B', 'unclaimed'), planned('C')] }

test('only what may be configured becomes a row, and edits survive planning again', () => {
  const edited: EditedRow[] = [{ uid: 'A', settings: settings('mine') }]
  expect(withPlan(plan, edited).map((row) => [row.uid, row.settings.host_name])).toEqual([
    ['A', 'mine'],
    ['C', 'plan-C'],
  ])
})

test('a finding of the NOC holds until its cell changes, and is not told twice', () => {
  const error: CellError = { uid: 'A', field: 'host_name', code: 'taken_host_name', message: 'taken' }
  const checked: EditedRow[] = [{ uid: 'A', settings: settings('a') }]
  expect(mergeErrors([error], [error], checked, checked)).toEqual([error])
  expect(mergeErrors([], [error], checked, [{ uid: 'A', settings: settings('b') }])).toEqual([])
  const otherCell = [{ uid: 'A', settings: { ...settings('a'), domain: 'x' } }]
  expect(mergeErrors([], [error], checked, otherCell)).toEqual([error])
})
