import { act, fireEvent, screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'
import type { FakeNoc } from '../backend/fakeNoc.ts'
import { refusal } from '../backend/fakeNoc.ts'
import type { Alert } from '../backend/noc.ts'
import type { Cell, CellState } from '../domain/strip.ts'
import { appliance, list, NOW, openFace, sent } from './faceOf.tsx'

const cell = (n: number, state: CellState, more: Partial<Cell> = {}): Cell => ({
  start: 900 * n,
  state,
  beats: state === 'arrived' ? 15 : 0,
  expected: 15,
  silent_s: 0,
  maintenance_s: 0,
  noc_away_s: 0,
  ...more,
})

const stat = (value: number, increase?: number) => ({
  count: 5,
  min: value - 1,
  mean: value,
  max: value + 1,
  last: value,
  ...(increase === undefined ? {} : { increase }),
})

const points = Array.from({ length: 20 }, (_, n) => ({
  start: NOW - 6_000 + 300 * n,
  beats: 5,
  host: { load: stat(1), memory_percent: stat(40), disk_percent: stat(50), temperature_c: stat(41) },
  counters: { mails: stat(100 + n, 1), queue: stat(n % 3, 1) },
}))

const PATH = '/v1/appliances/UID1'
const cells = [cell(0, 'arrived'), cell(1, 'missed_all', { silent_s: 700 }), cell(2, 'maintenance')]

const openAppliance = (change?: (noc: FakeNoc) => void) =>
  openFace('/appliances/UID1', 'viewer', (noc) => {
    noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
    noc.things.set(PATH, appliance(1))
    for (const part of ['beats', 'versions', 'instructions']) noc.things.set(`${PATH}/${part}`, list())
    noc.things.set(`${PATH}/settings`, { settings: appliance(1).settings, given: null })
    noc.things.set(`${PATH}/history`, list(...points))
    noc.things.set(`${PATH}/strip`, {
      interval_s: 60,
      day: { cell_s: 900, cells },
      days: { cell_s: 86_400, cells: [cell(0, 'not_expected'), cell(96, 'noc_away', { noc_away_s: 61 })] },
    })
    change?.(noc)
  })

test('a strip says in words what it shows, cell by cell, and is a table as well', async () => {
  const { user } = openAppliance()
  const day = await screen.findByTestId('strip-day')
  expect(day.getAttribute('aria-valuetext')).toBe('15 of about 45 beats · silent for 0:11:40')
  act(() => day.focus())
  await user.keyboard('{ArrowLeft}')
  expect(day.getAttribute('aria-valuenow')).toBe('1')
  const said = day.getAttribute('aria-valuetext') ?? ''
  expect(said).toMatch(/^\d\d:\d\d–\d\d:\d\d: Missed · 0 of about 15 beats · silent for 0:11:40$/)
  expect(screen.getByTestId('strip-day-said').textContent).toBe(said)
  await user.keyboard('{Home}{ArrowLeft}')
  expect(day.getAttribute('aria-valuetext')).toContain('Arrived · 15 of about 15 beats')
  const days = screen.getByTestId('strip-days')
  act(() => days.focus())
  await user.keyboard('{End}')
  expect(days.getAttribute('aria-valuetext')).toContain('NOC away for 0:01:01')
  const legend = screen.getByRole('list', { name: 'Legend' }).textContent
  expect(legend).toBe('ArrivedMissedMaintenanceNOC awayNothing expected')

  await user.click(screen.getByLabelText('Tables'))
  const table = screen.getByRole('table', { name: 'Last 24 hours' })
  expect(within(table).getAllByRole('row')).toHaveLength(4)
  expect(table.textContent).toContain('0:11:40')
})

test('charts of what was measured: ranges, closer and back by keys, and counters by their growth', async () => {
  const { noc, user } = openAppliance()
  expect(await screen.findByLabelText('Load: last 1, lowest 0, highest 2')).toBeTruthy()
  expect(screen.getByLabelText('Memory: last 40%, lowest 39%, highest 41%')).toBeTruthy()
  expect(screen.getByLabelText('Temperature: last 41 °C, lowest 40 °C, highest 42 °C')).toBeTruthy()
  // It grows by one in five minutes.
  expect(screen.getByLabelText('mails: last 12, lowest 12, highest 12')).toBeTruthy()
  expect(screen.getByLabelText(/^queue: last 1, lowest -1/)).toBeTruthy()
  await user.selectOptions(screen.getByTestId('measure-mails'), 'per_day')
  expect(screen.getByLabelText('mails: last 288, lowest 288, highest 288')).toBeTruthy()
  await user.selectOptions(screen.getByTestId('measure-mails'), 'value')
  expect(screen.getByLabelText('mails: last 119, lowest 99, highest 120')).toBeTruthy()

  const asked = () => sent(noc, 'GET', `${PATH}/history`).at(-1)?.query as Record<string, number | string>
  const long = () => Number(asked().to) - Number(asked().from)
  expect([asked().resolution, long()]).toEqual(['five_minutes', 86_400 + 300])
  await user.click(screen.getByLabelText('1 y'))
  await waitFor(() => expect([asked().resolution, long()]).toEqual(['hour', 365 * 86_400 + 3_600]))
  await user.click(screen.getByLabelText('3 h'))
  await waitFor(() => expect(long()).toBe(3 * 3_600 + 300))
  await user.click(screen.getByTestId('closer'))
  await waitFor(() => expect(long()).toBe(1.5 * 3_600 + 300))
  const before = Number(asked().to)
  await user.click(screen.getByTestId('earlier'))
  await waitFor(() => expect(Number(asked().to)).toBe(before - 2_700))
  expect(screen.getByTestId('later').hasAttribute('disabled')).toBe(false)
  await user.click(screen.getByTestId('zoom-back'))
  await waitFor(() => expect(long()).toBe(3 * 3_600 + 300))
  expect(screen.getByTestId('zoom-back').hasAttribute('disabled')).toBe(true)

  await user.click(screen.getByRole('checkbox', { name: 'Memory' }))
  expect(screen.queryByLabelText(/^Memory: /)).toBeNull()
})

test('what was not measured, and what is refused, is said', async () => {
  openAppliance((noc) => {
    noc.things.set(`${PATH}/history`, list())
    noc.refusals.set(`GET ${PATH}/strip`, refusal(503, 'busy', 'The NOC is busy.'))
  })
  expect(await screen.findByText('Nothing was measured in this time')).toBeTruthy()
  expect(await screen.findByText('The NOC is busy.')).toBeTruthy()
})

const openMap = (path: string) =>
  openFace(path, 'viewer', (noc) => {
    const site = (id: number, name: string) => ({ id, organisation: 1, policy: { name } })
    noc.things.set('/v1/sites', list(site(1, 'Thun'), site(2, 'Bern')))
    noc.things.set(
      '/v1/appliances',
      list(appliance(10), appliance(9, { health: 'silent' }), appliance(3, { site: 2 })),
    )
  })

test('the map is walked by keys, by site and name, and opens what is looked at', async () => {
  const { noc, user, router } = openMap('/map')
  const map = await screen.findByTestId('heat-cells')
  expect(map.getAttribute('aria-valuetext')).toBe('Silent: 1, Well: 2')
  act(() => map.focus())
  await user.keyboard('{ArrowRight}')
  expect(map.getAttribute('aria-valuetext')).toBe('mail-3, Bern, Well')
  await user.keyboard('{ArrowRight}')
  expect(map.getAttribute('aria-valuetext')).toBe('mail-9, Thun, Silent')
  expect(screen.getByTestId('heat-tip').textContent).toContain('mail-9')
  await user.keyboard('{ArrowRight}')
  expect(map.getAttribute('aria-valuetext')).toBe('mail-10, Thun, Well')
  // It is live.
  await act(async () => noc.changed({ appliances: [appliance(10, { health: 'late' })] }))
  await waitFor(() => expect(map.getAttribute('aria-valuetext')).toBe('mail-10, Thun, Late'))
  expect(screen.getByTestId('heat-late').textContent).toContain('1')
  await user.click(screen.getByTestId('heat-silent'))
  expect(screen.getByTestId('heat-silent').getAttribute('aria-pressed')).toBe('true')
  const beat = { uptime_s: 1, load: 2, memory_percent: 31, disk_percent: 90, counters: {} }
  await act(async () => noc.changed({ appliances: [appliance(10, { beat: beat as never })] }))
  await waitFor(() => expect(map.getAttribute('aria-valuetext')).toBe('mail-10, Thun, Well, 2, 31 %, 90 %'))
  await user.selectOptions(screen.getByTestId('heat-by'), 'disk')
  expect(screen.getByTestId('heat-map').textContent).toContain('100 %')
  act(() => map.focus())
  await user.keyboard('{Enter}')
  expect(router.state.location.pathname).toBe('/appliances/UID10')
})

test('the pointer finds a cell, and a click opens it', async () => {
  const { router } = openMap('/map?site=1')
  const map = await screen.findByTestId('heat-cells')
  fireEvent.pointerMove(map, { clientX: 3, clientY: 20 })
  expect((await screen.findByTestId('heat-tip')).textContent).toContain('mail-3')
  fireEvent.pointerMove(map, { clientX: 3, clientY: 2 })
  expect(screen.queryByTestId('heat-tip')).toBeNull()
  fireEvent.pointerMove(map, { clientX: 3, clientY: 20 })
  fireEvent.click(map, { clientX: 3, clientY: 20 })
  expect(router.state.location.pathname).toBe('/appliances/UID3')
})

test('from the list to the map and back, with what it was narrowed by', async () => {
  const { user, router } = openMap('/?site=1&health=silent')
  await user.click(await screen.findByTestId('as-map'))
  expect([router.state.location.pathname, router.state.location.search]).toEqual(['/map', '?site=1'])
  await user.click(screen.getByTestId('as-list'))
  expect([router.state.location.pathname, router.state.location.search]).toEqual(['/', '?site=1'])
})

test('the overview of a site has its states, alerts, month, consoles and what happened last', async () => {
  const alert: Alert = {
    id: 7,
    organisation: 1,
    site: 1,
    kind: 'silent',
    rule: '',
    appliances: ['UID9'],
    opened: NOW - 600,
    closed: null,
    acknowledged: NOW - 60,
    acknowledged_by: 'anna',
    note: '',
    silenced_until: null,
    silenced_by: '',
    silence_note: '',
    escalated: null,
  }
  const { noc, user } = openFace('/sites', 'viewer', (noc) => {
    const site = { id: 1, organisation: 1, policy: { name: 'Bern' } }
    noc.things.set('/v1/sites', list(site))
    noc.things.set('/v1/sites/1', site)
    noc.things.set('/v1/appliances', list(appliance(1), appliance(2), appliance(9, { health: 'silent' })))
    noc.things.set('/v1/alerts', list(alert))
    const console = { id: 4, organisation: 1, name: 'desk', enrolled: 1, revoked: null, sites: [1] }
    noc.things.set('/v1/consoles', list(console, { ...console, id: 5, name: 'elsewhere', sites: [2] }))
    const times = { available_s: 9, silent_s: 1, silences: 1, longest_silence_s: 1 }
    const month = {
      ...times,
      maintenance_s: 0,
      noc_away_s: 0,
      appliances: 3,
      never_silent: 2,
      percent: 99.999,
    }
    noc.things.set('/v1/availability', list({ ...month, site: 1, organisation: 1, name: 'Bern' }))
  })
  await user.click(await screen.findByTestId('overview-1'))
  const page = await screen.findByTestId('site-overview')
  await waitFor(() => expect(page.textContent).toContain('99.999 %'))
  expect(page.textContent).toContain('2 of 3')
  expect(within(page).getByTestId('heat-silent').textContent).toContain('1')
  expect(within(page).getByTestId('open-alerts').children).toHaveLength(1)
  const happened = [...within(page).getByTestId('last-events').children].map((row) => row.textContent)
  expect(happened).toHaveLength(2)
  expect(happened[0]).toContain('acknowledged')
  expect(happened[1]).toContain('opened')
  expect(within(page).getByText('desk')).toBeTruthy()
  expect(within(page).queryByText('elsewhere')).toBeNull()
  expect(sent(noc, 'GET', '/v1/availability')[0]?.query).toEqual({ site: 1 })
})
