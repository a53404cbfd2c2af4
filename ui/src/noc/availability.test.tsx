import { act, screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'
import type { ApplianceAvailability, SiteAvailability, Tally } from '../backend/nocReports.ts'
import { list, openFace, sent } from './faceOf.tsx'

const tally = (silent_s: number): Tally => ({
  available_s: 10_000 - silent_s,
  silent_s,
  silences: silent_s > 0 ? 1 : 0,
  longest_silence_s: silent_s,
  maintenance_s: 3_600,
  noc_away_s: 61,
})

const of = (n: number, silent_s: number): ApplianceAvailability => ({
  ...tally(silent_s),
  uid: `UID${n}`,
  serial: `SN${n}`,
  model: 'Mail',
  host_name: `mail-${n}`,
  since: 0,
  percent: (10_000 - silent_s) / 100,
})

const bern: SiteAvailability = {
  ...tally(600),
  site: 1,
  organisation: 1,
  name: 'Bern',
  appliances: 3,
  never_silent: 1,
  percent: 98,
}

const open = (path: string, rows = [of(1, 0), of(2, 500), of(3, 100)]) =>
  openFace(path, 'viewer', (noc) => {
    noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
    noc.things.set('/v1/availability', list(bern, { ...bern, site: 2, name: 'Thun', percent: 91.5 }))
    noc.things.set('/v1/sites/1/availability', list(...rows))
  })

const shown = () => screen.getAllByText(/^mail-/).map((cell) => cell.textContent)

test('all sites of a month, the worst first, and from one of them to its appliances', async () => {
  const { noc, user, router } = open('/availability?month=2026-10')
  const table = await screen.findByTestId('availability')
  const names = within(table)
    .getAllByRole('button', { name: /Bern|Thun/ })
    .map((cell) => cell.textContent)
  expect(names).toEqual(['Thun', 'Bern'])
  expect(table.textContent).toContain('91.500 %')
  expect(table.textContent).toContain('0:10:00')
  expect(sent(noc, 'GET', '/v1/availability')[0]?.query).toMatchObject({ month: '2026-10' })
  await user.click(within(table).getByRole('button', { name: 'Bern' }))
  await screen.findByText('mail-2')
  expect(router.state.location.search).toBe('?month=2026-10&site=1')
  expect(screen.getByTestId('availability-csv').getAttribute('href')).toBe(
    '/v1/availability.csv?month=2026-10&site=1',
  )
})

test('appliances are sorted by what is asked, and the site is summed up', async () => {
  const { user } = open('/availability?month=2026-10&site=1')
  await screen.findByText('mail-2')
  expect(shown()).toEqual(['mail-2', 'mail-3', 'mail-1'])
  // 600 of 30,000 seconds.
  expect(screen.getByTestId('availability-summary').textContent).toContain('98.000 %')
  await user.click(screen.getByTestId('sort-host_name'))
  expect(shown()).toEqual(['mail-1', 'mail-2', 'mail-3'])
  await user.click(screen.getByTestId('sort-percent'))
  await user.click(screen.getByTestId('sort-percent'))
  expect(shown()).toEqual(['mail-1', 'mail-3', 'mail-2'])
})

test('on paper there is a head that says of whom, when and by whom it is', async () => {
  open('/availability?month=2026-10&site=1')
  await screen.findByText('mail-2')
  expect(screen.queryByTestId('sheet')).toBeNull()
  act(() => void window.dispatchEvent(new Event('beforeprint')))
  const sheet = screen.getByTestId('sheet')
  for (const said of ['Acme AG', 'Bern', 'October 2026', 'UTC, by Anna', 'not counted'])
    expect(sheet.textContent).toContain(said)
  expect(within(sheet).getAllByRole('row', { hidden: true })).toHaveLength(5)
  act(() => void window.dispatchEvent(new Event('afterprint')))
  expect(screen.queryByTestId('sheet')).toBeNull()
})

test('a month of which nothing is known says so, and what is refused is told', async () => {
  const { noc } = open('/availability?month=2020-01&site=1', [])
  expect(await screen.findByText('Nothing to report for January 2020')).toBeTruthy()
  const { noc: other } = open('/availability?site=9')
  await waitFor(() => expect(screen.getByText('There is no such thing here.')).toBeTruthy())
  expect([noc, other].every((one) => one.isSignedIn)).toBe(true)
})
