import { act, screen, waitFor } from '@testing-library/react'
import { expect, test } from 'vitest'
import { appliance, list, openFace, sent } from './faceOf.tsx'

const open = (path: string) =>
  openFace(path, 'operator', (noc) => {
    noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
    noc.things.set('/v1/appliances', list(appliance(1), appliance(2)))
  })

const header = (name: string) => screen.getByRole('columnheader', { name })

test('a list is sorted by a column, the other way around, and then not at all', async () => {
  const { noc, user, router } = open('/?health=well')
  const asked = () => sent(noc, 'GET', '/v1/appliances').at(-1)?.query
  await screen.findByText('mail-1')
  expect([header('IP').getAttribute('aria-sort'), asked()?.sort]).toEqual([null, ''])
  for (const [sort, shown] of [
    ['address', 'ascending'],
    ['-address', 'descending'],
    ['', null],
  ] as const) {
    await user.click(screen.getByTestId('sort-address'))
    await waitFor(() => expect(asked()).toMatchObject({ sort, health: 'well' }))
    expect([header('IP').getAttribute('aria-sort'), header('MAC').getAttribute('aria-sort')]).toEqual([
      shown,
      null,
    ])
  }
  await user.click(screen.getByTestId('sort-health'))
  await waitFor(() => expect(router.state.location.search).toBe('?health=well&sort=health'))
  // What is looked for goes, the order stays.
  await user.click(screen.getByTestId('clear-filters'))
  await waitFor(() => expect(asked()).toMatchObject({ sort: 'health', health: '' }))
  // Times change with every beat: there is no order by them.
  expect(screen.queryByTestId('sort-beat')).toBeNull()
})

test('a row that belongs to another place by now is read anew, one that stays is put in place', async () => {
  const { noc } = open('/?sort=health')
  await screen.findByText('mail-1')
  const before = sent(noc, 'GET', '/v1/appliances').length
  await act(async () => noc.changed({ appliances: [appliance(1, { model: 'Other' })] }))
  expect(await screen.findByText('Other')).toBeTruthy()
  expect(sent(noc, 'GET', '/v1/appliances')).toHaveLength(before)
  await act(async () => noc.changed({ appliances: [appliance(1, { health: 'silent' })] }))
  await waitFor(() => expect(sent(noc, 'GET', '/v1/appliances').length).toBe(before + 1))
})

test('what changes faster than the NOC answers is shown all the same', async () => {
  const { noc } = open('/')
  await screen.findByText('mail-1')
  const before = sent(noc, 'GET', '/v1/appliances').length
  noc.things.set('/v1/appliances', list(appliance(3)))
  const answer = noc.hold()
  await act(async () => noc.changed({ appliances: [appliance(7)] }))
  await waitFor(() => expect(sent(noc, 'GET', '/v1/appliances').length).toBe(before + 1))
  // More happens while that answer is on its way.
  for (let n = 0; n < 3; n++) {
    await act(async () => noc.changed({ appliances: [appliance(7)] }))
    await act(async () => new Promise((done) => setTimeout(done, 250)))
  }
  expect(sent(noc, 'GET', '/v1/appliances').length, 'the answer is awaited').toBe(before + 1)
  await act(async () => answer())
  expect(await screen.findByText('mail-3')).toBeTruthy()
  await waitFor(() =>
    expect(sent(noc, 'GET', '/v1/appliances').length, 'and asked once more').toBe(before + 2),
  )
})
