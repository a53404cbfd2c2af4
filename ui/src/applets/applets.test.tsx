import { screen, waitFor, within } from '@testing-library/react'
import { afterEach, expect, test, vi } from 'vitest'
import { exampleApplet } from '../backend/fakeApplets.ts'
import type { RowWithApplication } from '../domain/wizard.ts'
import { openAt, REFUSED } from '../pages/testing.tsx'
import { readForm } from './form/schema.ts'
import { documents, fits, fitting, type Question, takeProposals } from './settings.ts'

let opened: ReturnType<typeof openAt> | undefined
afterEach(() => opened?.close())
const byId = (id: string) => screen.findByTestId(id)
const stepIs = (step: number) =>
  waitFor(() => expect(screen.getByTestId('wizard').dataset.step).toBe(String(step)))

/** The wizard at its plan. The pages of applets need a real browser: there are none here. */
async function plan(
  options: Parameters<typeof openAt>[1] = {},
  change = (_: ReturnType<typeof openAt>) => {},
) {
  opened = openAt('/', { appliances: 12, heard: true, applets: true, ...options })
  opened.backend.vendor.publish([
    { ...exampleApplet('mail-gateway'), hasPage: false },
    exampleApplet('branch-router'),
  ])
  change(opened)
  await waitFor(() => expect(screen.getByTestId('count-all').textContent).toBe('12'))
  await opened.user.click(screen.getByTestId('configure'))
  await stepIs(0)
  await opened.user.click(await byId('wizard-next'))
  await stepIs(1)
  return opened
}

test('an applet adds its form to the wizard; what is missing keeps it there, and the document goes with the grant', async () => {
  const { backend, user } = await plan()
  const panel = await byId('applets-panel')
  await waitFor(() => expect(screen.getByTestId('applet-status').dataset.problems).not.toBe('0'))
  expect(within(panel).queryByText(/It is missing/)).toBeNull()
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  expect(await within(panel).findAllByText(/It is missing/)).not.toHaveLength(0)

  await user.click(await byId('applet-templates'))
  await user.click(await screen.findByText('Small office'))
  await user.type(within(panel).getByLabelText(/^Licence key/), 'ABCDE-12345-FGHIJ-67890')
  await user.click(within(panel).getByRole('combobox', { name: /Application settings of/ }))
  await user.click(await screen.findByRole('option', { name: /Branch router/, hidden: true }))
  await user.click(await byId('applet-templates'))
  await user.click(await screen.findByText('Fibre with PPPoE'))
  await waitFor(() => expect(screen.getByTestId('applet-status').textContent).toMatch(/in order/))

  const sent = vi.spyOn(backend, 'configure')
  for (const step of [2, 3]) {
    await waitFor(() => expect(screen.getByTestId('wizard-next').hasAttribute('disabled')).toBe(false))
    await user.click(await byId('wizard-next'))
    await stepIs(step)
  }
  expect((await byId('review-application')).textContent).toMatch(/appliances get application settings/)
  await user.click(await byId('wizard-apply'))
  await byId('wizard-progress')
  const rows = (sent.mock.calls[0]?.[1] ?? []) as RowWithApplication[]
  expect(rows).toHaveLength(12)
  const texts = new Set(rows.flatMap(({ settings }) => settings.application ?? []))
  expect(texts.size).toBe(2)
  expect([...texts].some((text) => text.includes('ABCDE-12345-FGHIJ-67890'))).toBe(true)
  // The model that no applet is for gets none.
  expect(rows.some(({ settings }) => settings.application === undefined)).toBe(true)
})

test('one appliance has values of its own, and is like all again', async () => {
  const { user } = await plan({}, ({ backend }) =>
    backend.vendor.publish([{ ...exampleApplet('mail-gateway'), hasPage: false }]),
  )
  const panel = await byId('applets-panel')
  const days = () => within(panel).getByLabelText(/Largest mail/) as HTMLInputElement
  await user.click(within(panel).getByRole('combobox', { name: /Values for/ }))
  const [, first] = await screen.findAllByRole('option', { hidden: true })
  await user.click(first as HTMLElement)
  await user.clear(days())
  await user.type(days(), '50')
  await user.click(within(panel).getByRole('combobox', { name: /Values for/ }))
  expect(await screen.findByRole('option', { name: /its own/, hidden: true })).toBeTruthy()
  await user.click(await screen.findByRole('option', { name: /^All/, hidden: true }))
  await within(panel).findByText('1 appliance has values of its own.')
  await waitFor(() => expect(days().value).toBe('25'))
})

test('items of a list are added, moved and removed, each with a name', async () => {
  const { user } = await plan()
  const panel = await byId('applets-panel')
  await user.click(await byId('applet-templates'))
  await user.click(await screen.findByText('Head office with quarantine'))
  const domains = () =>
    within(panel)
      .getAllByLabelText(/^Domain \d/)
      .map((one) => (one as HTMLInputElement).value)
  await waitFor(() => expect(domains()).toEqual(['example.net', 'example.org']))
  await user.click(within(panel).getByRole('button', { name: 'Move Domain 1 down' }))
  expect(domains()).toEqual(['example.org', 'example.net'])
  await user.click(within(panel).getByRole('button', { name: 'Add Domain' }))
  await user.type(within(panel).getByLabelText(/^Domain 3/), '-')
  await user.tab()
  await within(panel).findByText(/It is not a host name/)
  await user.click(within(panel).getByRole('button', { name: 'Remove Domain 3' }))
  expect(domains()).toEqual(['example.org', 'example.net'])
  await user.click(await byId('applet-templates'))
  await user.click(await screen.findByText('Small office'))
  expect(domains()).toEqual(['example.net'])
  await user.click(await byId('applet-undo'))
  expect(domains()).toEqual(['example.org', 'example.net'])
})

test('without an applet, or when they cannot be read, the wizard is as it always was', async () => {
  await plan({}, ({ backend }) => {
    backend.applets = () => Promise.reject(REFUSED)
  })
  expect(screen.queryByTestId('applets-panel')).toBeNull()
  await opened?.user.click(await byId('wizard-next'))
  await stepIs(2)
})

test('applets that were refused are told, and the wizard goes on', async () => {
  const { backend, user } = await plan()
  backend.inject({ kind: 'applets', generation: 7, problem: REFUSED })
  expect((await byId('problem')).textContent).toContain(REFUSED.remedy)
  await user.click(await byId('applet-on'))
  expect(await byId('applets-panel')).toBeTruthy()
})

test('settings that are not sent are not asked for', async () => {
  const { backend, user } = await plan({}, ({ backend }) =>
    backend.vendor.publish([{ ...exampleApplet('mail-gateway'), hasPage: false }]),
  )
  await user.click(await byId('applet-on'))
  expect(screen.queryByTestId('applet-form')).toBeNull()
  const checked = vi.spyOn(backend, 'check')
  await waitFor(() => expect(screen.getByTestId('wizard-next').hasAttribute('disabled')).toBe(false))
  await user.click(await byId('wizard-next'))
  await stepIs(2)
  expect(JSON.stringify(checked.mock.calls)).not.toContain('application')
})

test('a new version is there within seconds, and what was filled in stays', async () => {
  const applet = { ...exampleApplet('mail-gateway'), hasPage: false }
  const { backend, user } = await plan({}, ({ backend }) => backend.vendor.publish([applet]))
  const panel = await byId('applets-panel')
  await user.type(within(panel).getByLabelText(/^Licence key/), 'ABCDE')
  backend.vendor.publish([{ ...applet, version: '2.0.0', title: 'Mail gateway 2' }])
  await within(panel).findByText('Mail gateway 2')
  expect((within(panel).getByLabelText(/^Licence key/) as HTMLInputElement).value).toBe('ABCDE')
})

test('a new version that wants more stops what was about to be sent, and leads back', async () => {
  const applet = {
    ...exampleApplet('mail-gateway'),
    form: { type: 'object', properties: { a: { type: 'string', title: 'Plant' } } },
  }
  const { backend, user } = await plan({}, ({ backend }) =>
    backend.vendor.publish([{ ...applet, hasPage: false }]),
  )
  for (const step of [2, 3]) {
    await waitFor(() => expect(screen.getByTestId('wizard-next').hasAttribute('disabled')).toBe(false))
    await user.click(await byId('wizard-next'))
    await stepIs(step)
  }
  await waitFor(() => expect(screen.getByTestId('wizard-apply').hasAttribute('disabled')).toBe(false))
  const form = { ...applet.form, required: ['a'] }
  backend.vendor.publish([{ ...applet, version: '2.0.0', form, hasPage: false }])
  await user.click(within(await byId('application-lacks')).getByRole('button'))
  await stepIs(1)
  expect(screen.queryByTestId('wizard-apply')).toBeNull()
  await user.type(within(await byId('applets-panel')).getByLabelText(/^Plant/), 'x')
  await waitFor(() => expect(screen.getByTestId('applet-status').textContent).toMatch(/in order/))
})

test('the engine that cannot check is said, and nothing goes on', async () => {
  const { user } = await plan({}, ({ backend }) => {
    backend.checkApplication = () => Promise.reject(REFUSED)
  })
  await waitFor(() => expect(screen.getByTestId('applet-status').textContent).toContain(REFUSED.remedy))
  await user.click(await byId('wizard-next'))
  await stepIs(1)
})

test('the page of an appliance has the form, and leads into the wizard with what was filled in', async () => {
  opened = openAt('/', { appliances: 12, heard: true, applets: true, configured: 1 })
  const { backend, router, user } = opened
  backend.vendor.publish([{ ...exampleApplet('mail-gateway'), models: [], hasPage: false }])
  await waitFor(() => expect(screen.getByTestId('count-all').textContent).toBe('12'))
  await router.navigate(`/appliances/${backend.uids()[0]}`)
  const card = await byId('application-card')
  await waitFor(() => expect(screen.getByTestId('applet-status').dataset.problems).not.toBe('0'))
  await user.click(within(card).getByTestId('application-configure'))
  expect(await within(card).findAllByText(/It is missing/)).not.toHaveLength(0)
  await user.click(within(card).getByTestId('applet-templates'))
  await user.click(await screen.findByText('Small office'))
  await user.type(within(card).getByLabelText(/^Licence key/), 'ABCDE-12345-FGHIJ-67890')
  const goOn = within(card).getByTestId('application-configure')
  await waitFor(() => {
    expect(screen.getByTestId('applet-status').dataset.problems).toBe('0')
    expect(goOn.hasAttribute('disabled')).toBe(false)
  })
  await user.click(goOn)
  await stepIs(0)
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  const panel = await byId('applets-panel')
  expect((within(panel).getByLabelText(/^Licence key/) as HTMLInputElement).value).toBe(
    'ABCDE-12345-FGHIJ-67890',
  )
})

test('which applet is for which appliance', () => {
  const mail = { ...exampleApplet('mail-gateway'), models: ['MX-*', 'mail-1'] }
  const rest = { ...exampleApplet('branch-router'), models: [] }
  expect([fits(mail, 'MX-200'), fits(mail, 'mail-1'), fits(mail, 'mail-10'), fits(mail, '')]).toEqual([
    true,
    true,
    false,
    false,
  ])
  const one = (uid: string, model: string) => ({ uid, model, mac: uid, host_name: '' })
  const groups = fitting([mail, rest], [one('A', 'MX-200'), one('B', 'Gate 10'), one('C', 'mail-1')])
  expect(groups.map(({ appliances }) => appliances.map(({ uid }) => uid))).toEqual([['A', 'C'], ['B']])
  expect(fitting([mail], [one('B', 'Gate 10')])).toEqual([])
})

test('proposals go over what is filled in; the same for everybody go to all', () => {
  const one = (uid: string) => ({ uid, model: '', mac: uid, host_name: '' })
  const settings = { on: true, all: { a: 1, b: 2 }, own: new Map([['B', { a: 5, b: 2 }]]) }
  const both = new Map([
    ['A', { a: 9 }],
    ['B', { a: 9 }],
  ])
  const taken = takeProposals(settings, [one('A'), one('B')], both)
  expect(JSON.stringify(taken.all)).toBe('{"a":9,"b":2}')
  expect(taken.own.size).toBe(0)
  const some = takeProposals(settings, [one('A'), one('B')], new Map([['A', { a: 9 }]]))
  expect(JSON.stringify(some.all)).toBe('{"a":1,"b":2}')
  expect(JSON.stringify([...some.own])).toBe('[["B",{"a":5,"b":2}],["A",{"a":9,"b":2}]]')
  const question = { uids: ['A'] } as Question
  const checked = { problems: [{ path: '', message: 'x' }], text: '{}', bytes: 2 }
  expect(documents([{ question, checked }]).size).toBe(0)
})

test('a form is read from hostile schemas without harm', () => {
  const named = readForm(
    JSON.parse(
      '{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"},"a":{"type":"string"}}}',
    ),
  )
  expect(named?.fields.map(({ name }) => name)).toEqual(['a'])
  for (const schema of [
    null,
    1,
    [],
    {},
    { type: 'object' },
    { type: 'array' },
    { type: 'object', properties: 1 },
  ])
    expect(readForm(schema)).toBeNull()
  let deep: object = { type: 'string' }
  for (let i = 0; i < 50; i++) deep = { type: 'object', properties: { a: deep } }
  expect(JSON.stringify(readForm(deep))).not.toContain('text')
  const wide = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`a${i}`, { type: 'boolean' }]))
  expect(readForm({ type: 'object', properties: wide })?.fields.length).toBe(100)
})
