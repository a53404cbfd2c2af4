import { screen, waitFor } from '@testing-library/react'
import { describe, expect, test } from 'vitest'
import { type FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Appliance, Instruction, Role } from '../backend/noc.ts'
import { list, NOW, openFace, sent } from './faceOf.tsx'

const SETTINGS = {
  host_name: 'mail-1',
  domain: 'a.example',
  address: '192.0.2.1',
  netmask: '/24',
  gateway: '192.0.2.254',
  dns1: '',
  dns2: '',
}
const APPLIANCE: Appliance = {
  organisation: 1,
  uid: 'UID1',
  mac: '02:00:00:00:00:01',
  serial: 'SN1',
  model: 'Mail',
  site: 1,
  settings: SETTINGS,
  provisioning: 'configured',
  health: 'well',
  last_beat: null,
  beat: null,
}
const PATH = '/v1/appliances/UID1'
const NO_STRIP = { interval_s: 60, day: { cell_s: 900, cells: [] }, days: { cell_s: 86_400, cells: [] } }

const open = (role: Role = 'operator', change?: (noc: FakeNoc) => void) =>
  openFace('/appliances/UID1', role, (noc) => {
    noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
    noc.things.set(PATH, APPLIANCE)
    noc.things.set(`${PATH}/beats`, list())
    noc.things.set(`${PATH}/history`, list())
    noc.things.set(`${PATH}/strip`, NO_STRIP)
    noc.things.set(`${PATH}/versions`, list())
    noc.things.set(`${PATH}/instructions`, list())
    noc.things.set(`${PATH}/settings`, { settings: SETTINGS, given: null })
    noc.things.set(`${PATH}/role`, { takes_over: null, replaced_by: null })
    change?.(noc)
  })

const instruction = (serial: number, more: Partial<Instruction>): Instruction => ({
  serial,
  act: 'send_log',
  issued: NOW,
  expires: NOW + 999,
  given: null,
  done: null,
  problem: '',
  ...more,
})

describe('other settings', () => {
  test('are given with the reason, and what stays is not named', async () => {
    const { noc, user } = open()
    await user.click(await screen.findByTestId('settings-change'))
    const address = await screen.findByTestId('setting-address')
    await user.clear(address)
    await user.type(address, ' 192.0.2.9 ')
    await user.clear(screen.getByTestId('setting-gateway'))
    await user.type(screen.getByTestId('setting-why'), 'moved')
    noc.things.set(`PATCH ${PATH}/settings`, { settings: SETTINGS, given: null })
    await user.click(screen.getByTestId('settings-give'))
    await waitFor(() => expect(screen.queryByTestId('settings-form')).toBeNull())
    const [patch] = sent(noc, 'PATCH', `${PATH}/settings`)
    expect([patch?.tag, patch?.body]).toEqual(['1', { address: '192.0.2.9', gateway: '', why: 'moved' }])
  })

  test('that do not fit say so at each value and stay', async () => {
    const faults = [{ field: 'address', code: 'address_taken', message: 'somebody has it' }]
    const { user } = open('operator', (noc) =>
      noc.refusals.set(
        `PATCH ${PATH}/settings`,
        refusal(422, 'invalid_settings', 'They do not fit.', faults),
      ),
    )
    await user.click(await screen.findByTestId('settings-change'))
    const address = (await screen.findByTestId('setting-address')) as HTMLInputElement
    await user.type(address, '0')
    await user.click(screen.getByTestId('settings-give'))
    expect(await screen.findByText('somebody has it')).toBeTruthy()
    expect(address.value).toBe('192.0.2.10')
  })

  test('are not for viewers', async () => {
    open('viewer')
    await screen.findByText('192.0.2.254')
    expect(screen.queryByTestId('settings-change')).toBeNull()
    expect(screen.queryByTestId('tell-reboot')).toBeNull()
  })
})

describe('instructions', () => {
  test('that interrupt something are asked about first', async () => {
    const { noc, user } = open()
    noc.things.set(`POST ${PATH}/instructions`, instruction(1, {}))
    await user.click(await screen.findByTestId('tell-reboot'))
    expect(sent(noc, 'POST', `${PATH}/instructions`)).toEqual([])
    await user.click(screen.getByTestId('tell-sure'))
    await waitFor(() =>
      expect(sent(noc, 'POST', `${PATH}/instructions`).at(-1)?.body).toEqual({ act: 'reboot' }),
    )
  })

  test('say what became of them, and are taken back', async () => {
    const { noc, user } = open('operator', (noc) =>
      noc.things.set(
        `${PATH}/instructions`,
        list(
          instruction(4, {}),
          instruction(3, { given: NOW }),
          instruction(2, { act: 'reboot', done: NOW, problem: 'command_failed' }),
          instruction(1, { done: NOW }),
          instruction(0, { expires: 1 }),
        ),
      ),
    )
    const shown = (await screen.findAllByTestId('instruction')).map((one) => one.textContent ?? '')
    const states = ['Waits for a beat', 'Told', 'Failed: command_failed', 'Accepted', 'Not fetched in time']
    expect(shown.map((text, n) => text.includes(states[n] as string))).toEqual(states.map(() => true))
    await user.click(screen.getByTestId('work-take-back'))
    expect(sent(noc, 'DELETE', `${PATH}/work`)).toHaveLength(1)
  })

  test('bring a log, which disturbs nothing around it', async () => {
    const { noc, user } = open('operator', (noc) =>
      noc.things.set(`${PATH}/instructions`, list(instruction(1, { done: NOW }))),
    )
    await user.click(await screen.findByTestId('log-show'))
    expect((await screen.findByTestId('problem')).dataset.code).toBe('not_found')
    noc.things.set(`${PATH}/log`, { taken: NOW, text: 'one\ntwo \u{202e}\u{1b}[2J' })
    await user.click(screen.getByTestId('log-show'))
    expect((await screen.findByTestId('log')).textContent).toBe('one\ntwo ��[2J')
  })
})

test('a manifest is taken in for a chosen organisation, or says each line that is wrong', async () => {
  const path = '/v1/inventory/import'
  const lines = [{ line: 3, code: 'bad_uid', message: 'the UID does not read' }]
  const { noc, user } = openFace('/inventory', 'operator', (noc) => {
    noc.things.set('/v1/sites', list())
    noc.refusals.set(`POST ${path}`, refusal(422, 'manifest_invalid', '1 line is wrong.', [], lines))
  })
  const file = new File(['serial,mac,uid,claim\nx\ny\n'], 'manifest.csv', { type: 'text/csv' })
  await screen.findByTestId('manifest-file')
  await user.upload(document.querySelector('input[type=file]') as HTMLInputElement, file)
  await user.click(screen.getByTestId('manifest-go'))
  expect((await screen.findByTestId('faults')).textContent).toBe('Line 3: the UID does not read')
  expect((screen.getByTestId('manifest-text') as HTMLTextAreaElement).value).toContain('serial,mac')
  noc.refusals.clear()
  noc.things.set(`POST ${path}`, { added: 2, updated: 0, unchanged: 1 })
  await user.click(screen.getByTestId('manifest-go'))
  expect(await screen.findByText('2 added, 0 updated, 1 as they were.')).toBeTruthy()
  expect(sent(noc, 'POST', path).at(-1)?.body).toEqual({
    organisation: 1,
    csv: 'serial,mac,uid,claim\nx\ny\n',
  })
})
