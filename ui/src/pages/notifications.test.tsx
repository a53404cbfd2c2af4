import { screen, waitFor, within } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import { Fake } from '../backend/fake.ts'
import { openAt, REFUSED, refuse } from './testing.tsx'

let opened: ReturnType<typeof openAt> | undefined
const open = (backend = new Fake({ appliances: 6, speed: 20, heard: true })) => {
  opened = openAt('/settings', {}, backend)
  return { ...opened, desk: backend.desk }
}
afterEach(() => opened?.close())

const byId = (id: string) => screen.findByTestId(id)

test('nobody is disturbed for an hour, until it is switched off, and then again', async () => {
  const { user, desk } = open()
  const state = await byId('quiet-state')
  expect(state.textContent).toBe('Notifications are shown.')
  expect(screen.queryByTestId('quiet-off')).toBeNull()
  await user.click(await byId('quiet-hour'))
  await waitFor(() => expect(state.textContent).toContain('Nothing is shown until '))
  expect(desk.state.settings.do_not_disturb.kind).toBe('until')
  await user.click(await byId('quiet-on'))
  await waitFor(() => expect(state.textContent).toContain('until you switch it off'))
  await user.click(await byId('quiet-off'))
  await waitFor(() => expect(state.textContent).toBe('Notifications are shown.'))
})

test('quiet hours, filters and the sound are saved together', async () => {
  const { user, desk } = open()
  await user.click(await byId('quiet-hours'))
  const from = (await byId('quiet-from')) as HTMLInputElement
  expect(from.value).toBe('22:00')
  await user.click(await byId('quiet-day-6'))
  await user.click(await byId('tell-unstable'))
  await user.click(await byId('sound'))
  await user.click(await byId('notification-save'))
  await waitFor(() => expect(desk.state.settings.sound).toBe(true))
  expect(desk.state.settings.quiet_hours).toEqual({ from: 1320, to: 360, days: [0, 1, 2, 3, 4, 5] })
  expect(desk.state.settings.muted_kinds).toEqual(['unstable'])
  await waitFor(async () => expect((await byId('live-region')).textContent).toBe('Saved'))
})

test('a site and a model are taken out and come back', async () => {
  const { user, desk } = open()
  const card = await byId('notification-settings')
  const models = await within(card).findByRole('group', { name: 'Models' })
  const [model] = within(models).getAllByRole('checkbox')
  const sites = within(card).getByRole('group', { name: 'Sites' })
  const [site] = within(sites).getAllByRole('checkbox')
  if (!model || !site) throw new Error('the simulated site has both')
  await user.click(model)
  await user.click(site)
  await user.click(await byId('notification-save'))
  await waitFor(() => expect(desk.state.settings.muted_models).toHaveLength(1))
  expect(desk.state.settings.muted_sites).toHaveLength(1)
  await user.click(model)
  await user.click(site)
  await user.click(await byId('notification-save'))
  await waitFor(() => expect(desk.state.settings.muted_models).toEqual([]))
})

test('what is refused is said, and so is a damaged file and a desktop without sound', async () => {
  const backend = new Fake({ appliances: 6, speed: 20 })
  backend.desk.state = { ...backend.desk.state, note: 'notifications.json cannot be read', sound: 'nobody' }
  backend.desk.setNotifications = refuse
  const { user } = open(backend)
  expect((await byId('notification-note')).textContent).toContain('cannot be read')
  expect((await byId('notification-settings')).textContent).toContain('Nothing on this computer can play it')
  await user.click(await byId('notification-save'))
  expect((await byId('problem')).dataset.code).toBe(REFUSED.code)
})
