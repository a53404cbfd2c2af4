import { screen, waitFor, within } from '@testing-library/react'
import { afterEach, expect, test, vi } from 'vitest'
import { exampleApplet } from '../backend/fakeApplets.ts'
import type { RowWithApplication } from '../domain/wizard.ts'
import { openAt, REFUSED } from '../pages/testing.tsx'
import { readForm } from './form/schema.ts'
import {
  begin,
  type ChosenAppliance,
  documents,
  fits,
  fitting,
  problemsOf,
  questions,
  takeProposals,
  valuesFor,
  withValueFor,
} from './settings.ts'

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
  const count = String(options?.appliances ?? 12)
  await waitFor(() => expect(screen.getByTestId('count-all').textContent).toBe(count))
  if (options?.configured)
    await opened.router.navigate('/configure', { state: { uids: opened.backend.uids() } })
  else await opened.user.click(screen.getByTestId('configure'))
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

test('one appliance has values of its own: for all they differ, and a click takes back what was made the same', async () => {
  const { user } = await plan({}, ({ backend }) =>
    backend.vendor.publish([{ ...exampleApplet('mail-gateway'), hasPage: false }]),
  )
  const panel = await byId('applets-panel')
  const size = () => within(panel).getByLabelText(/Largest mail/) as HTMLInputElement
  const choose = async (which: (options: HTMLElement[]) => HTMLElement | undefined) => {
    await user.click(within(panel).getByRole('combobox', { name: /Values for/ }))
    await user.click(which(await screen.findAllByRole('option', { hidden: true })) as HTMLElement)
  }
  expect(size().value).toBe('25')
  await choose((options) => options[1])
  await user.clear(size())
  await user.type(size(), '50')
  expect(screen.queryByTestId('applet-differ')).toBeNull()
  await choose((options) => options[0])
  expect((await byId('applet-differ')).textContent).toContain('The appliances differ in 1 value.')
  expect([size().value, size().placeholder]).toEqual(['', 'differs'])
  await user.type(size(), '7')
  expect(screen.queryByTestId('applet-differ')).toBeNull()
  await user.type(size(), '5')
  await user.click(await byId('applet-undo'))
  await byId('applet-differ')
  await choose((options) => options[1])
  await waitFor(() => expect(size().value).toBe('50'))
  await choose((options) => options[2])
  await waitFor(() => expect(size().value).toBe('25'))
})

/** What three mail gateways have. */
const HAS = [
  '{"domains":["a.example"],"largest_mail_mib":10,"licence":"ABCDE-12345-FGHIJ-67890","relays":[{"host":"mx.a.example"}]}',
  '{"domains":["b.example"],"largest_mail_mib":10,"licence":"ABCDE-12345-FGHIJ-67891","plant":"<b>7</b>","relays":[{"host":"mx.b.example"}]}',
  '{"domains":["c.example"],"footer":"c","largest_mail_mib":1e1,"licence":"ABCDE-12345-FGHIJ-67892","relays":[{"host":"mx.c.example"}]}',
]

test('a form begins with what the appliances have, and leaves each its own in what was not changed', async () => {
  const { backend, user } = await plan(
    { appliances: 3, configured: 1, documents: HAS.join('\n') },
    ({ backend }) =>
      backend.vendor.publish([{ ...exampleApplet('mail-gateway'), models: [], hasPage: false }]),
  )
  await byId('applets-panel')
  // Another one after each step back.
  const panel = () => within(screen.getByTestId('applets-panel'))
  await waitFor(() => expect(screen.getByTestId('applet-status').textContent).toMatch(/3 appliances/))
  const size = () => panel().getByLabelText(/Largest mail/) as HTMLInputElement
  expect(size().value).toBe('10')
  expect((panel().getByLabelText(/^Licence key/) as HTMLInputElement).placeholder).toBe('differs')
  expect(panel().queryByLabelText(/^Domain 1/)).toBeNull()
  expect((await byId('applet-differ')).textContent).toContain('in 4 values')
  expect((await byId('applet-left')).textContent).toContain('/plant.')

  const sent = async () => {
    const checked = vi.spyOn(backend, 'check')
    await waitFor(() => expect(screen.getByTestId('wizard-next').hasAttribute('disabled')).toBe(false))
    await user.click(await byId('wizard-next'))
    await stepIs(2)
    await waitFor(() => expect(checked).toHaveBeenCalled())
    const rows = (checked.mock.lastCall?.[1] ?? []) as RowWithApplication[]
    checked.mockRestore()
    await user.click(await byId('wizard-back'))
    await stepIs(1)
    return rows.map(({ settings }) => settings.application ?? '')
  }
  // Nothing was changed: what the form says in full is sent to the letter.
  const { domains: _, ...of } = JSON.parse(HAS[1] as string)
  expect(of.plant).toBe('<b>7</b>')
  const [first, second, third] = await sent()
  expect([first, third]).toEqual([HAS[0], HAS[2]])
  expect(second).not.toContain('plant')

  await user.clear(size())
  await user.type(size(), '64')
  await user.click(panel().getByRole('button', { name: 'The same for all: Mail domains' }))
  await user.type(panel().getByLabelText(/^Domain 1/), 'all.example')
  await waitFor(() => expect(screen.getByTestId('applet-status').textContent).toMatch(/3 appliances/))
  const documents = (await sent()).map((text) => JSON.parse(text))
  expect(documents.map((one) => one.largest_mail_mib)).toEqual([64, 64, 64])
  expect(documents.map((one) => one.domains)).toEqual([['all.example'], ['all.example'], ['all.example']])
  expect(documents.map((one) => one.licence.at(-1))).toEqual(['0', '1', '2'])
  expect(documents.map((one) => one.relays[0].host)).toEqual(['mx.a.example', 'mx.b.example', 'mx.c.example'])
  expect(documents.map((one) => one.footer)).toEqual([undefined, undefined, 'c'])
})

test('the page of an appliance begins with what the appliance has', async () => {
  opened = openAt('/', {
    appliances: 3,
    heard: true,
    applets: true,
    configured: 1,
    documents: HAS[0] as string,
  })
  const { backend, router } = opened
  backend.vendor.publish([{ ...exampleApplet('mail-gateway'), models: [], hasPage: false }])
  await waitFor(() => expect(screen.getByTestId('count-all').textContent).toBe('3'))
  await router.navigate(`/appliances/${backend.uids()[0]}`)
  const card = await byId('application-card')
  expect((within(card).getByLabelText(/^Domain 1/) as HTMLInputElement).value).toBe('a.example')
  await waitFor(() => expect(screen.getByTestId('applet-status').dataset.problems).toBe('0'))
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
  const one = (uid: string, model: string) => ({ ...named(uid), model })
  const groups = fitting([mail, rest], [one('A', 'MX-200'), one('B', 'Gate 10'), one('C', 'mail-1')])
  expect(groups.map(({ appliances }) => appliances.map(({ uid }) => uid))).toEqual([['A', 'C'], ['B']])
  expect(fitting([mail], [one('B', 'Gate 10')])).toEqual([])
})

const named = (uid: string, application = ''): ChosenAppliance => ({
  uid,
  model: '',
  mac: uid,
  host_name: '',
  application,
})
const numbers = {
  ...exampleApplet('branch-router'),
  form: {
    type: 'object',
    required: ['b'],
    properties: { a: { type: 'integer' }, b: { type: 'integer' }, c: { type: 'integer' } },
  },
  defaults: { a: 1, b: 2, gone: 3 },
}

test('an appliance begins with what it has, else with the defaults, and never with what no field is for', () => {
  const begun = (application: string) => {
    const { values, text, left } = begin(numbers, application)
    return [JSON.stringify(values), text, left]
  }
  for (const none of ['', '{}', 'null', '[]', '{"a":', '7'])
    expect(begun(none), none).toEqual(['{"a":1,"b":2}', null, []])
  expect(begun('{"b":9,"c":1.0}')).toEqual(['{"b":9,"c":1}', '{"b":9,"c":1.0}', []])
  // What is required and has a default is there.
  expect(begun('{"c":5}')).toEqual(['{"c":5,"b":2}', null, []])
  expect(begun('{"b":1,"x":1,"__proto__":{"acted":1},"constructor":1}')).toEqual([
    '{"b":1}',
    null,
    ['/x', '/__proto__', '/constructor'],
  ])
  expect(({} as { acted?: number }).acted).toBeUndefined()
  expect(begin(numbers, '{"b":9}')).toBe(begin(numbers, '{"b":9}'))
})

test('proposals go over what each has', () => {
  const appliances = [named('A'), named('B', '{"a":5,"b":2}')]
  const taken = takeProposals(
    numbers,
    { on: true, edited: new Map() },
    appliances,
    new Map([['B', { a: 9 }]]),
  )
  const of = (one: ChosenAppliance) => JSON.stringify(valuesFor(numbers, taken, one))
  expect(appliances.map(of)).toEqual(['{"a":1,"b":2}', '{"a":9,"b":2}'])
  expect([...taken.edited.keys()]).toEqual(['B'])
})

test('the same values are asked for once, a problem counts once, and what is wrong has no document', () => {
  const appliances = [named('A'), named('B'), named('C', '{"b":7}'), named('D', '{"a":1,"b":2}')]
  const settings = withValueFor(numbers, { on: true, edited: new Map() }, appliances.slice(0, 2), ['a'], 4)
  const asked = questions([{ applet: numbers, appliances }], new Map([[numbers.name, settings]]))
  expect(asked.map(({ values, uids, kept }) => [JSON.stringify(values), uids, [...kept.keys()]])).toEqual([
    ['{"a":4,"b":2}', ['A', 'B'], []],
    ['{"b":7}', ['C'], ['C']],
    ['{"a":1,"b":2}', ['D'], ['D']],
  ])
  const problems = [{ path: '/a', message: 'x' }]
  const answered = asked.map((question, i) => ({
    question,
    checked: { problems: i < 2 ? problems : [], text: '{}', bytes: 2 },
  }))
  expect(problemsOf(answered, new Set(['A', 'B', 'C', 'D']))).toEqual([
    { path: '/a', message: 'x', count: 3 },
  ])
  expect(problemsOf(answered, new Set(['D']))).toEqual([])
  expect([...documents(answered)]).toEqual([['D', '{"a":1,"b":2}']])
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
