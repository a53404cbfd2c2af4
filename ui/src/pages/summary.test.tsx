import { screen, waitFor } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import { Fake } from '../backend/fake.ts'
import { openAt, REFUSED, refuse } from './testing.tsx'

let opened: ReturnType<typeof openAt> | undefined
afterEach(() => opened?.close())

const byId = (id: string) => screen.findByTestId(id)

async function open(change: (backend: Fake) => void = () => undefined) {
  const backend = new Fake({ appliances: 6, speed: 100, heard: true, configured: 1, unclaimed: 0 })
  change(backend)
  opened = openAt('/summary', {}, backend)
  const list = await screen.findByRole('list', { name: 'Alerts that need somebody' })
  expect((await byId('summary-state')).textContent).toBe('All well')
  const [uid] = backend.uids()
  if (!uid) throw new Error('the simulated site has appliances')
  await backend.setKnobs({ install_ms: 0, fail_percent: 0, loss_percent: 0, silent: [uid] })
  await waitFor(() => expect(list.children.length).toBeGreaterThan(0))
  const id = Number(list.children[0]?.getAttribute('data-testid')?.replace('summary-alert-', ''))
  return { ...opened, desk: backend.desk, list, id, gone: () => screen.queryByTestId(`summary-alert-${id}`) }
}

test('an alert is acknowledged and another silenced: both leave the list, and are named', async () => {
  const { user, id, gone } = await open()
  await user.click(await byId(`summary-acknowledge-${id}`))
  await waitFor(() => expect(gone()).toBeNull())
  expect((await byId('summary-said')).textContent).toBe('Acknowledged.')
  expect((await byId('summary-counts')).textContent).toMatch(/^[1-9]\d* acknowledged/)
})

test('an alert is silenced for an hour', async () => {
  const { user, id, gone } = await open()
  await user.click(await byId(`summary-silence-${id}`))
  await user.click(await screen.findByText('For 1 hour'))
  await waitFor(() => expect(gone()).toBeNull())
  expect((await byId('summary-said')).textContent).toBe('Silenced.')
})

test('what is refused is said with its remedy', async () => {
  const { user, id } = await open((backend) => {
    backend.acknowledge = refuse
  })
  await user.click(await byId(`summary-acknowledge-${id}`))
  const problem = await byId('problem')
  expect(problem.dataset.code).toBe(REFUSED.code)
  expect(problem.textContent).toContain(REFUSED.remedy)
})

test('checking says what the appliance and the NOC say; Escape closes; the alerts open in the window', async () => {
  const { user, desk } = await open()
  const [check] = await screen.findAllByText('Check now')
  if (!check) throw new Error('an alert about one appliance has the button')
  await user.click(check)
  expect((await byId('summary-said')).textContent).toBe(
    'mail-001 answers from 192.0.2.9%eth0. The NOC says: Silent.',
  )
  await user.click(await byId('summary-open'))
  expect(desk.opened).toEqual([null])
  await user.keyboard('{Escape}')
  await waitFor(() => expect(desk.closed).toBe(1))
})

test('nobody is disturbed, and then again', async () => {
  const { user, desk } = await open()
  await user.click(await byId('summary-quiet'))
  await user.click(await screen.findByText('Until switched off'))
  await waitFor(() => expect(desk.state.settings.do_not_disturb.kind).toBe('on'))
  await waitFor(async () => expect((await byId('summary-quiet')).textContent).toContain('Do not disturb: on'))
  await user.click(await byId('summary-quiet'))
  await user.click(await screen.findByText('Notify again'))
  await waitFor(() => expect(desk.state.settings.do_not_disturb.kind).toBe('off'))
})
