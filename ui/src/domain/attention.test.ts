import { expect, test } from 'vitest'
import type { AlertView } from '../bindings.ts'
import { countAttention, mostUrgent } from './attention.ts'

function alert(id: number, names: string[], more: Partial<AlertView> = {}): AlertView {
  return {
    id,
    kind: 'silent',
    site: 1,
    rule: '',
    appliances: names.map((name) => ({ uid: name, name, health: 'silent' })),
    opened: 100,
    closed: null,
    acknowledged: null,
    acknowledged_by: '',
    note: '',
    silenced_until: null,
    escalated: null,
    ...more,
  }
}

test('an appliance counts once, where most has to be done', () => {
  const alerts = [
    alert(1, ['a']),
    alert(2, ['a'], { acknowledged: 150 }),
    alert(3, ['b', 'c'], { acknowledged: 150 }),
    alert(4, ['c'], { silenced_until: 4000 }),
    alert(5, ['d'], { silenced_until: 4000 }),
    alert(6, ['e'], { silenced_until: 4000, acknowledged: 150 }),
    alert(7, ['f'], { closed: 200 }),
  ]
  expect(countAttention(alerts)).toEqual({ failing: 1, acknowledged: 3, silenced: 1 })
})

test('the worst come first, and of those the newest', () => {
  const alerts = [
    alert(1, ['unstable'], { kind: 'unstable', opened: 900 }),
    alert(2, ['old']),
    alert(3, ['new'], { opened: 800 }),
    alert(4, ['a', 'b'], { kind: 'site' }),
    alert(5, ['waiting'], { kind: 'unstable', escalated: 300 }),
    alert(6, ['seen'], { acknowledged: 1 }),
  ]
  expect(mostUrgent(alerts).map(({ id }) => id)).toEqual([5, 4, 3, 2, 1])
})
