import { screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import { type FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Role } from '../backend/noc.ts'
import { list, NOW, openFace, sent } from './faceOf.tsx'

const POLICY = {
  name: 'Bern',
  pool: '192.0.2.10-192.0.2.99',
  netmask: '/24',
  domain: 'a.example',
  inherit: [],
}
const USUAL = { name: 'disk full', value: 'disk', is: 'above', than: 90, for_s: 600 }
const WINDOW = {
  id: 3,
  site: 1,
  appliance: null,
  starts: NOW - 60,
  ends: NOW + 3_000,
  every: 'week',
  note: 'new switch',
  is_active: true,
  made_by: 'local',
  ended: null,
  ended_by: '',
}

const open = (role: Role = 'administrator', change?: (noc: FakeNoc) => void) =>
  openFace('/sites/1/monitoring', role, (noc) => {
    const site = { id: 1, organisation: 1, policy: POLICY }
    noc.things.set('/v1/sites', list(site))
    noc.things.set('/v1/sites/1', site)
    noc.things.set('/v1/sites/1/monitoring', { grace_s: 60 })
    noc.things.set('/v1/sites/1/monitoring/effective', { grace_s: 60, miss_intervals: 3, rules: [USUAL] })
    noc.things.set('/v1/maintenance', list())
    change?.(noc)
  })

test('a site says some values, and the rest is what others say', async () => {
  const { noc, user } = open()
  const misses = (await screen.findByTestId('monitoring-miss_intervals')) as HTMLInputElement
  expect([misses.value, misses.placeholder]).toEqual(['', '3'])
  await user.type(misses, '5')
  await user.clear(screen.getByTestId('monitoring-grace_s'))
  await user.click(screen.getByTestId('rules-own'))
  expect((screen.getByTestId('rule-name') as HTMLInputElement).value).toBe('disk full')
  await user.clear(screen.getByTestId('rule-than'))
  await user.type(screen.getByTestId('rule-than'), '80')
  const body = { miss_intervals: 5, rules: [{ ...USUAL, than: 80 }] }
  noc.things.set('PUT /v1/sites/1/monitoring', body)
  await user.click(screen.getByTestId('monitoring-save'))
  await screen.findByTestId('monitoring-saved')
  expect(sent(noc, 'PUT', '/v1/sites/1/monitoring')[0]?.body).toEqual(body)
})

test('what is refused is said, and what was typed stays', async () => {
  const { user } = open('administrator', (noc) =>
    noc.refusals.set(
      'PUT /v1/sites/1/monitoring',
      refusal(422, 'invalid', '`miss_intervals` must be 1 to 20, not 99', [
        { field: 'miss_intervals', code: 'invalid', message: 'must be 1 to 20, not 99' },
      ]),
    ),
  )
  const misses = (await screen.findByTestId('monitoring-miss_intervals')) as HTMLInputElement
  await user.type(misses, '99')
  await user.click(screen.getByTestId('monitoring-save'))
  expect((await screen.findByText('must be 1 to 20, not 99')).id).toBe(
    misses.getAttribute('aria-describedby')?.split(' ')[0],
  )
  expect(misses.value).toBe('99')
})

test('maintenance is added and ended', async () => {
  const { noc, user } = open('operator')
  await user.click(await screen.findByTestId('maintenance-add'))
  await user.type(screen.getByTestId('maintenance-note'), 'new switch')
  noc.things.set('POST /v1/maintenance', WINDOW)
  noc.things.set('/v1/maintenance', list(WINDOW))
  await user.click(screen.getByTestId('maintenance-save'))
  expect((await screen.findByTestId('maintenance-3')).textContent).toContain('every week')
  expect(sent(noc, 'POST', '/v1/maintenance')[0]?.body).toEqual({
    site: 1,
    for_s: 3600,
    every: 'once',
    note: 'new switch',
  })
  noc.things.set('/v1/maintenance', list())
  await user.click(screen.getByTestId('maintenance-end'))
  await screen.findByText(/silence is told/)
  expect(screen.queryByTestId('monitoring-save')).toBeNull()
})

test('viewers look and do not touch', async () => {
  open('viewer', (noc) => noc.things.set('/v1/maintenance', list(WINDOW)))
  await screen.findByTestId('maintenance-3')
  expect(screen.queryByTestId('maintenance-end')).toBeNull()
  expect(screen.queryByTestId('maintenance-add')).toBeNull()
})
