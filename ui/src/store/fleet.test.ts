import { expect, test, vi } from 'vitest'
import { makeWorld } from '../backend/simulation.ts'
import type { AlertView, ApplianceRow, JobItemView, JobView } from '../bindings.ts'
import { NO_SETTINGS } from '../domain/settings.ts'
import { Fleet, type RowChanges } from './fleet.ts'

const rows: ApplianceRow[] = makeWorld(
  { appliances: 4, seed: 1, configured: 0.5, unclaimed: 0, beatInterval: 5 },
  1000,
).map((one) => one.row)
const [first, second, third, fourth] = rows as [ApplianceRow, ApplianceRow, ApplianceRow, ApplianceRow]

function watched(): { fleet: Fleet; changes: RowChanges[] } {
  const fleet = new Fleet()
  const changes: RowChanges[] = []
  fleet.onRows((change) => changes.push(change))
  return { fleet, changes }
}

test('a replay replaces everything, and the grid is told only the difference', () => {
  const { fleet, changes } = watched()
  fleet.apply([{ kind: 'appliances', reset: true, rows: [first, second] }])
  fleet.apply([{ kind: 'appliances', reset: true, rows: [second, third] }])
  expect([...fleet.appliances()].map((row) => row.uid)).toEqual([second.uid, third.uid])
  expect(changes[1]).toMatchObject({ added: [third], updated: [second], removed: [first] })
})

test('a batch names each appliance once, with its last value', () => {
  const { fleet, changes } = watched()
  const later = { ...first, state: 'failed' as const }
  fleet.apply([
    { kind: 'appliances', reset: false, rows: [first] },
    { kind: 'appliances', reset: false, rows: [later, fourth] },
  ])
  expect(changes).toEqual([{ reset: false, added: [later, fourth], updated: [], removed: [] }])
  fleet.apply([{ kind: 'appliances', reset: false, rows: [first] }])
  expect(changes[1]).toMatchObject({ added: [], updated: [first] })
})

test('one that left and came back within a batch is an update', () => {
  const { fleet, changes } = watched()
  fleet.apply([{ kind: 'appliances', reset: true, rows: [first] }])
  fleet.apply([
    { kind: 'appliances', reset: true, rows: [] },
    { kind: 'appliances', reset: false, rows: [first] },
  ])
  expect(changes[1]).toMatchObject({ added: [], updated: [first], removed: [] })
})

test('the chips count what they say; a silent one is also configured', () => {
  const { fleet } = watched()
  fleet.apply([
    {
      kind: 'appliances',
      reset: true,
      rows: [
        { ...first, state: 'configured', health: 'silent' },
        { ...second, state: 'unclaimed', health: 'not_expected' },
        { ...third, state: 'failed', health: 'not_expected' },
        { ...fourth, state: 'configured', health: 'never_reported' },
      ],
    },
  ])
  expect(fleet.current().counts).toEqual({ all: 4, unconfigured: 1, configured: 2, failed: 1, silent: 1 })
})

const item = (uid: string, step: JobItemView['step']): JobItemView => ({
  uid,
  mac: uid,
  settings: NO_SETTINGS,
  step,
  percent: 0,
  attempts: 1,
  problem: null,
})
const job = (items: JobItemView[], finished: number | null = null): JobView => ({
  id: 1,
  site: 1,
  started: 0,
  finished,
  cancelled: false,
  items,
})

test('changed items are laid over the job; a whole job replaces it', () => {
  const { fleet } = watched()
  fleet.apply([{ kind: 'job', whole: true, job: job([item('A', 'waiting'), item('B', 'waiting')]) }])
  fleet.apply([{ kind: 'job', whole: false, job: job([item('B', 'configured')], 9) }])
  const merged = fleet.current().jobs[0]
  expect(merged?.finished).toBe(9)
  expect([...(merged?.items.values() ?? [])].map((one) => one.step)).toEqual(['waiting', 'configured'])
  fleet.apply([{ kind: 'job', whole: true, job: job([item('C', 'failed')]) }])
  expect([...(fleet.current().jobs[0]?.items.keys() ?? [])]).toEqual(['C'])
})

const alert = (id: number, opened: number, closed: number | null): AlertView => ({
  id,
  kind: 'silent',
  rule: '',
  site: 1,
  appliances: [],
  opened,
  closed,
  acknowledged: null,
  acknowledged_by: '',
  note: '',
  silenced_until: null,
  escalated: null,
})

test('open alerts come first, then the newest', () => {
  const { fleet } = watched()
  fleet.apply([
    { kind: 'alerts', reset: true, alerts: [alert(1, 10, 20), alert(2, 5, null), alert(3, 15, 30)] },
  ])
  expect(fleet.current().alerts.map((one) => one.id)).toEqual([2, 3, 1])
  fleet.apply([{ kind: 'alerts', reset: false, alerts: [alert(2, 5, 40)] }])
  expect(fleet.current().alerts.map((one) => one.id)).toEqual([3, 1, 2])
  fleet.apply([{ kind: 'alerts', reset: true, alerts: [] }])
  expect(fleet.current().alerts).toEqual([])
})

test('listeners hear one call a batch, and a click on a notification is passed on', () => {
  const { fleet } = watched()
  const heard = vi.fn()
  const navigate = vi.fn()
  fleet.onChange(heard)
  const stop = fleet.onNavigate(navigate)
  fleet.apply([
    { kind: 'appliances', reset: true, rows },
    { kind: 'navigate', uid: 'A' },
  ])
  expect(heard).toHaveBeenCalledTimes(1)
  expect(navigate).toHaveBeenCalledWith('A')
  stop()
  fleet.apply([{ kind: 'navigate', uid: null }])
  expect(navigate).toHaveBeenCalledTimes(1)
})
