import { screen, waitFor } from '@testing-library/react'
import type { UserEvent } from '@testing-library/user-event'
import { describe, expect, test } from 'vitest'
import { type FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Appliance, Role } from '../backend/noc.ts'
import { appliance, list, openFace, sent } from './faceOf.tsx'
import { wordOf } from './RetirementDialog.tsx'

const PATH = '/v1/appliances/UID1'
const SPARE: Partial<Appliance> = {
  settings: null,
  site: null,
  provisioning: 'known',
  health: 'not_expected',
}
const NO_STRIP = { interval_s: 60, day: { cell_s: 900, cells: [] }, days: { cell_s: 86_400, cells: [] } }

function open(role: Role, of: Partial<Appliance> = {}, change?: (noc: FakeNoc) => void) {
  return openFace('/appliances/UID1', role, (noc) => {
    noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
    noc.things.set(PATH, appliance(1, of))
    for (const part of ['beats', 'history', 'versions', 'instructions'])
      noc.things.set(`${PATH}/${part}`, list())
    noc.things.set(`${PATH}/strip`, NO_STRIP)
    noc.things.set(`${PATH}/role`, { takes_over: null, replaced_by: null })
    change?.(noc)
  })
}

/** The button stays shut until what the appliance is called is typed whole. */
async function confirm(user: UserEvent) {
  const go = () => screen.getByTestId('confirmed-go') as HTMLButtonElement
  const word = screen.getByTestId('confirmed-word')
  expect(go().disabled).toBe(true)
  await user.type(word, 'SN')
  expect(go().disabled).toBe(true)
  await user.type(word, '1{Enter}')
}

describe('replacing an appliance', () => {
  const heirs = (noc: FakeNoc) =>
    noc.things.set(
      '/v1/appliances',
      list(
        appliance(1),
        appliance(2, SPARE),
        appliance(3, { ...SPARE, site: 1 }),
        appliance(4, { ...SPARE, site: 9 }),
      ),
    )

  test('asks for one that is free, says what will happen, and is not hit by accident', async () => {
    const { noc, user } = open('operator', {}, heirs)
    noc.things.set(`POST ${PATH}/replacement`, { takes_over: null, replaced_by: 'UID2' })
    await user.click(await screen.findByTestId('replace'))
    expect((await screen.findByTestId('confirmed')).textContent).toContain('host name mail-1')
    const offered = await screen.findAllByTestId('heir')
    expect(offered.map((one) => (one as HTMLInputElement).value)).toEqual(['UID2', 'UID3'])
    // What is meant is typed, but not which one takes over.
    await confirm(user)
    expect((screen.getByTestId('confirmed-go') as HTMLButtonElement).disabled).toBe(true)
    expect(sent(noc, 'POST', `${PATH}/replacement`)).toEqual([])
    await user.click(offered[0] as HTMLElement)
    await user.click(screen.getByTestId('confirmed-go'))
    await waitFor(() => expect(screen.queryByTestId('confirmed')).toBeNull())
    expect(sent(noc, 'POST', `${PATH}/replacement`).map(({ body }) => body)).toEqual([{ by: 'UID2' }])
  })

  test('looks for it at the NOC', async () => {
    const { noc, user } = open('operator', {}, heirs)
    await user.click(await screen.findByTestId('replace'))
    await user.type(await screen.findByTestId('heir-text'), 'SN2')
    const query = { organisation: 1, provisioning: 'known', limit: 200, text: 'SN2' }
    await waitFor(() => expect(sent(noc, 'GET', '/v1/appliances').at(-1)?.query).toEqual(query))
  })

  test('says when none fits', async () => {
    const { user } = open('operator', {}, (noc) => noc.things.set('/v1/appliances', list(appliance(2))))
    await user.click(await screen.findByTestId('replace'))
    await screen.findByTestId('heir-none')
  })

  test('that is refused says why and stays', async () => {
    const { noc, user } = open('operator', {}, heirs)
    noc.refusals.set(`POST ${PATH}/replacement`, refusal(409, 'in_use', 'It has settings of its own.'))
    await user.click(await screen.findByTestId('replace'))
    await user.click((await screen.findAllByTestId('heir'))[0] as HTMLElement)
    await confirm(user)
    expect((await screen.findByTestId('problem')).dataset.code).toBe('in_use')
    expect(screen.getByTestId('confirmed-word')).toBeTruthy()
  })

  test('shows on both what became of it, at once', async () => {
    const { noc } = open('viewer')
    await screen.findByText('192.0.2.1')
    expect(screen.queryByTestId('retirement')).toBeNull()
    const replaced = appliance(1, { settings: null, provisioning: 'replaced' })
    noc.things.set(PATH, replaced)
    noc.things.set(`${PATH}/role`, { takes_over: appliance(9).settings, replaced_by: 'UID2' })
    noc.changed({ appliances: [replaced] })
    expect((await screen.findByTestId('replaced-by')).getAttribute('href')).toBe('/appliances/UID2')
    expect(screen.getByTestId('takes-over').textContent).toContain('mail-9 (192.0.2.9)')
    expect(screen.queryByTestId('release')).toBeNull()
  })
})

test.each([
  ['decommission', 'instructions', { act: 'decommission' }],
  ['release', 'release', {}],
])('%s is confirmed by name', async (ending, route, body) => {
  const { noc, user } = open('operator')
  noc.things.set(`POST ${PATH}/${route}`, {})
  await user.click(await screen.findByTestId(ending))
  await user.click(await screen.findByTestId('confirmed-cancel'))
  await waitFor(() => expect(screen.queryByTestId('confirmed')).toBeNull())
  await user.click(screen.getByTestId(ending))
  await screen.findByTestId('confirmed')
  expect(sent(noc, 'POST', `${PATH}/${route}`)).toEqual([])
  await confirm(user)
  await waitFor(() => expect(screen.queryByTestId('confirmed')).toBeNull())
  expect(sent(noc, 'POST', `${PATH}/${route}`).map((one) => one.body)).toEqual([body])
})

test.each<[string, Partial<Appliance>, string[]]>([
  ['one that serves', {}, ['replace', 'decommission', 'release']],
  ['one that is only planned', { ...SPARE, site: 1 }, ['release']],
  ['one that is retired', { settings: null, provisioning: 'decommissioned' }, ['release']],
  ['one that is of no site', SPARE, []],
])('of %s, what is possible is offered to operators, and nothing to viewers', async (_, of, expected) => {
  const offered = () =>
    ['replace', 'decommission', 'release'].filter((ending) => screen.queryByTestId(ending) !== null)
  const { noc } = open('operator', of)
  await screen.findByText('UID1')
  await waitFor(() => expect(sent(noc, 'GET', `${PATH}/role`)).toHaveLength(1))
  expect(offered()).toEqual(expected)
})

test('what is to be typed can be typed', () => {
  const mac = '02:00:00:00:00:01'
  const words = ['SN-1/a.2', '', ' ', 'a b', '\u202eabc', '<b>'].map((serial) => wordOf({ serial, mac }))
  expect(words).toEqual(['SN-1/a.2', mac, mac, mac, mac, mac])
})

test('viewers see no way to end it', async () => {
  open('viewer')
  await screen.findByText('192.0.2.1')
  expect(screen.queryByTestId('release')).toBeNull()
})
