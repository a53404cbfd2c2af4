import { expect, test } from 'vitest'
import type { JobItemView, JobStep } from '../bindings.ts'
import { failuresOf, partOf, summarise } from './job.ts'
import { NO_SETTINGS } from './settings.ts'

const item = (uid: string, step: JobStep, code?: string): JobItemView => ({
  uid,
  mac: uid,
  settings: NO_SETTINGS,
  step,
  percent: 50,
  attempts: 1,
  problem: code ? { code, message: `message of ${code}`, remedy: 'retry' } : null,
})

test('a job is summed up', () => {
  const items = [
    item('A', 'configured'),
    item('B', 'failed', 'x'),
    item('C', 'installing'),
    item('D', 'waiting'),
  ]
  const sum = summarise({ items: new Map(items.map((one) => [one.uid, one])) })
  expect(sum).toMatchObject({ total: 4, done: 2, configured: 1, failed: 1, waiting: 1, cancelled: 0 })
  expect(sum.part).toBeGreaterThan(0.5)
})

test('progress never goes back along the steps', () => {
  const steps: JobStep[] = ['waiting', 'sending', 'installing', 'kick_starting', 'confirming', 'configured']
  const parts = steps.map((step) => partOf({ step, percent: 100 }))
  expect(parts).toEqual([...parts].sort((a, b) => a - b))
})

test('failures are grouped by reason, the most frequent first', () => {
  const groups = failuresOf([item('A', 'failed', 'x'), item('B', 'failed', 'y'), item('C', 'failed', 'y')])
  expect(groups.map(({ problem, names }) => [problem.code, names])).toEqual([
    ['y', ['B', 'C']],
    ['x', ['A']],
  ])
})
