import { act, render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter } from 'react-router'
import { describe, expect, test } from 'vitest'
import { FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Message, OwnSession, Role } from '../backend/noc.ts'
import { FaceApp } from './FaceApp.tsx'
import { appliance } from './faceOf.tsx'
import { routes } from './routes.tsx'

const NOW = Math.floor(Date.now() / 1000)

function somebody(role: Role): OwnSession {
  const roles = [{ organisation: 1, site: null, role }]
  const session = { id: 1, operator: 1, created: NOW, used: NOW, expires: NOW + 9_999, address: '192.0.2.1' }
  return {
    session: { ...session, kind: 'cookie', program: 'Chromium' },
    operator: { id: 1, organisation: 1, login: 'anna@acme', name: 'Anna', created: 1, disabled: null, roles },
    csrf: 'x',
  }
}

const POLICY = {
  name: 'Bern',
  pool: '192.0.2.10-192.0.2.99',
  netmask: '255.255.255.0',
  gateway: '',
  domain: 'example.net',
  dns1: '',
  dns2: '',
  ntp: '',
  search_domains: '',
  pool6: '',
  gateway6: '',
  host_name: '{model}-{n}',
  beat_interval_s: 60,
  confirm: 'kick_start',
  window_s: 90,
  drift: null,
  exclude: '',
  application: '',
  proof: 'any',
  inherit: [],
  unknown_here: 'kept',
}
const SITE = { id: 1, organisation: 1, policy: POLICY }
const list = (...items: unknown[]) => ({ items })

function open(path: string, role: Role = 'administrator', change?: (noc: FakeNoc) => void) {
  const noc = new FakeNoc(somebody(role))
  noc.things.set('/v1/organisations', list({ id: 1, handle: 'acme', name: 'Acme AG' }))
  noc.things.set('/v1/sites', list(SITE))
  noc.things.set('/v1/sites/1', SITE)
  noc.things.set('/v1/alerts', list())
  noc.things.set('/v1/invites', list())
  noc.things.set('/v1/consoles', list())
  noc.things.set('/v1/appliances', list(appliance(1), appliance(2)))
  change?.(noc)
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(<FaceApp noc={noc} router={router} />)
  return { noc, router, user: userEvent.setup() }
}

const sent = (noc: FakeNoc, method: string) => noc.asked.filter((one) => one.method === method)

describe('signing in', () => {
  test('leads to the page that was asked for, and a refusal says what to do', async () => {
    const { noc, user } = open('/sites', 'viewer', (noc) => {
      noc.isSignedIn = false
      noc.refusals.set(
        'POST /v1/sessions',
        refusal(401, 'sign_in_refused', 'The name or the password is wrong.'),
      )
    })
    await user.type(await screen.findByTestId('login'), 'anna@acme')
    await user.type(screen.getByTestId('password'), 'wrong')
    await user.click(screen.getByTestId('sign-in-submit'))
    expect((await screen.findByTestId('problem')).dataset.code).toBe('sign_in_refused')
    noc.refusals.clear()
    await user.type(screen.getByTestId('password'), 'right')
    await user.click(screen.getByTestId('sign-in-submit'))
    expect(await screen.findByRole('heading', { name: 'Sites' })).toBeTruthy()
    expect(sent(noc, 'POST').at(-1)?.body).toEqual({ login: 'anna@acme', password: 'right' })
  })

  test('an ended session keeps what was typed until its operator is back', async () => {
    const { noc, user } = open('/sites/1')
    await user.type(await screen.findByTestId('field-dns1'), '192.0.2.53')
    await act(async () => noc.onEnded?.())
    expect(await screen.findByTestId('session-ended')).toBeTruthy()
    await user.type(screen.getByTestId('login'), 'anna@acme')
    await user.type(screen.getByTestId('password'), 'right')
    await user.click(screen.getByTestId('sign-in-submit'))
    await waitFor(() => expect(screen.queryByTestId('session-ended')).toBeNull())
    expect((screen.getByTestId('field-dns1') as HTMLInputElement).value).toBe('192.0.2.53')
  })

  test('a NOC that does not answer is said, with a way on', async () => {
    const { noc, user } = open('/', 'viewer', (noc) =>
      noc.refusals.set('GET /v1/session', refusal(0, 'noc_unreachable', 'The NOC does not answer.')),
    )
    expect((await screen.findByTestId('problem')).dataset.code).toBe('noc_unreachable')
    noc.refusals.clear()
    await user.click(screen.getByRole('button', { name: 'Try again' }))
    expect(await screen.findByTestId('fleet')).toBeTruthy()
  })
})

describe('the fleet', () => {
  test('shows what changes in its place, and lets go what does not fit the filter any more', async () => {
    const { noc } = open('/?health=well')
    const row = async (name: string) => within(await screen.findByTestId('fleet')).findByText(name)
    await row('mail-1')
    expect(noc.asked.find((one) => one.path === '/v1/appliances')?.query).toMatchObject({ health: 'well' })
    await act(async () => noc.changed({ appliances: [appliance(2, { health: 'silent' })] }))
    await waitFor(() => expect(screen.queryByText('mail-2')).toBeNull())
    // What comes into the list is read from the NOC, which alone says where it belongs.
    noc.things.set('/v1/appliances', list(appliance(1), appliance(3)))
    await act(async () => noc.changed({ appliances: [appliance(3)] }))
    await row('mail-3')
  })

  test('a list that goes on asks for more, and empty ones say why', async () => {
    const { noc } = open('/', 'viewer', (noc) =>
      noc.things.set('/v1/appliances', { items: [appliance(1)], next: 'AAAA' }),
    )
    await screen.findByText('mail-1')
    await waitFor(() => expect(noc.asked.some((one) => one.query?.after === 'AAAA')).toBe(true))
    open('/?text=zzz', 'viewer', (noc) => noc.things.set('/v1/appliances', list()))
    expect(await screen.findByText('No appliance matches')).toBeTruthy()
  })

  test('says when what is shown may be old', async () => {
    const { noc } = open('/')
    await screen.findByText('mail-1')
    await act(async () => noc.link(false))
    expect(await screen.findByTestId('noc-lost')).toBeTruthy()
    await act(async () => noc.link(true))
    await waitFor(() => expect(screen.queryByTestId('noc-lost')).toBeNull())
  })
})

describe('a site', () => {
  test('is saved with its version and with values that the form does not know', async () => {
    const { noc, user } = open('/sites/1', 'administrator', (noc) =>
      noc.things.set('PUT /v1/sites/1', { ...SITE, policy: { ...POLICY, dns1: '192.0.2.53' } }),
    )
    await user.type(await screen.findByTestId('field-dns1'), '192.0.2.53')
    await user.click(screen.getByTestId('site-save'))
    await screen.findByTestId('site-saved')
    const [put] = sent(noc, 'PUT')
    expect(put?.tag).toBe('1')
    expect(put?.body).toEqual({ ...POLICY, dns1: '192.0.2.53' })
  })

  test('says each fault at its value, and one of an unknown value above', async () => {
    const faults = [
      { field: 'window_s', code: 'bad_window', message: 'the window must be 30 to 600 seconds' },
    ]
    const { noc, user } = open('/sites/1', 'administrator', (noc) =>
      noc.refusals.set('PUT /v1/sites/1', refusal(422, 'site_invalid', 'The values do not fit.', faults)),
    )
    await user.type(await screen.findByTestId('field-window_s'), '0')
    await user.click(screen.getByTestId('site-save'))
    expect(await screen.findByText('the window must be 30 to 600 seconds')).toBeTruthy()
    const other = [{ field: 'of_another_version', code: 'x', message: 'y' }]
    noc.refusals.set('PUT /v1/sites/1', refusal(422, 'site_invalid', 'Another value does not fit.', other))
    await user.click(screen.getByTestId('site-save'))
    expect(await screen.findByText('Another value does not fit.')).toBeTruthy()
  })

  test('that somebody else has changed leaves the choice', async () => {
    const { noc, user } = open('/sites/1')
    await user.type(await screen.findByTestId('field-dns1'), '192.0.2.53')
    noc.things.set('/v1/sites/1', { ...SITE, policy: { ...POLICY, gateway: '192.0.2.1' } })
    await act(async () => noc.changed({ kinds: ['site'] }))
    await user.click(await screen.findByTestId('conflict-theirs'))
    expect((screen.getByTestId('field-gateway') as HTMLInputElement).value).toBe('192.0.2.1')
    expect((screen.getByTestId('field-dns1') as HTMLInputElement).value).toBe('')
  })

  test('is shown to viewers, who cannot change it', async () => {
    open('/sites/1', 'viewer')
    expect(((await screen.findByTestId('field-name')) as HTMLInputElement).readOnly).toBe(true)
    expect(screen.queryByTestId('site-save')).toBeNull()
  })
})

describe('consoles', () => {
  const CONSOLE = { id: 7, organisation: 1, name: 'desk', enrolled: NOW, revoked: null, sites: [1] }
  const message = (state: Message['state'], answer: string | null = null): Message => ({
    console: 7,
    number: 1,
    name: 'getList',
    order: { kind: 'list', filter: '0' },
    issued: NOW,
    expires: NOW + 60,
    fetched: null,
    taken: null,
    finished: null,
    state,
    code: '',
    detail: '',
    answer,
  })
  const withConsole = (noc: FakeNoc) => {
    noc.things.set('/v1/consoles/7', CONSOLE)
    noc.things.set('/v1/consoles/7/messages', list(message('waiting')))
    noc.things.set('POST /v1/consoles/7/messages', message('waiting'))
  }

  test('are sent what is chosen, and what comes of it is shown', async () => {
    const { noc, user } = open('/consoles/7', 'operator', withConsole)
    await user.selectOptions(await screen.findByTestId('order'), 'config')
    await user.type(screen.getByTestId('mac'), ' AA:BB:CC:00:11:22 ')
    await user.click(screen.getByTestId('send'))
    await waitFor(() => expect(sent(noc, 'POST')).toHaveLength(1))
    expect(sent(noc, 'POST')[0]?.body).toEqual({ order: { kind: 'config', mac: 'AA:BB:CC:00:11:22' } })
    noc.things.set('/v1/consoles/7/messages', list(message('done', 'AA|BB')))
    await act(async () => noc.changed({ kinds: ['message'] }))
    expect(await screen.findByText('AA|BB')).toBeTruthy()
    await waitFor(() => expect(screen.queryByTestId('take-back')).toBeNull())
  })

  test('are not spoken to by viewers', async () => {
    open('/consoles/7', 'viewer', withConsole)
    await screen.findByTestId('messages')
    expect(screen.queryByTestId('send-form')).toBeNull()
    expect(screen.queryByTestId('take-back')).toBeNull()
  })

  test('that are not there are told so', async () => {
    open('/consoles/8', 'operator', withConsole)
    expect((await screen.findByTestId('problem')).dataset.code).toBe('not_found')
  })
})

test('an alert is acknowledged with a note', async () => {
  const alert = {
    id: 3,
    organisation: 1,
    site: 1,
    kind: 'silent',
    rule: '',
    appliances: ['UID1'],
    opened: NOW,
    closed: null,
    acknowledged: null,
    acknowledged_by: '',
    note: '',
    silenced_until: null,
    escalated: null,
  }
  const { noc, user } = open('/alerts', 'operator', (noc) => {
    noc.things.set('/v1/alerts', list(alert))
    noc.things.set('/v1/alerts/3', alert)
    noc.things.set('PUT /v1/alerts/3/acknowledgement', alert)
  })
  const [button] = await screen.findAllByTestId('acknowledge-3')
  await user.click(button as HTMLElement)
  await user.type(screen.getByTestId('note'), 'on my way')
  await user.click(screen.getByTestId('note-save'))
  await waitFor(() => expect(sent(noc, 'PUT')[0]?.body).toEqual({ note: 'on my way' }))
})

test('an invite is made for chosen sites and its text shown once', async () => {
  const { noc, user } = open('/consoles', 'operator', (noc) =>
    noc.things.set('POST /v1/invites', { text: 'muster-invite:AAAA' }),
  )
  await user.click(await screen.findByTestId('invite'))
  await user.click(screen.getByLabelText('Bern (Acme AG)'))
  await user.click(screen.getByTestId('invite-save'))
  expect(((await screen.findByTestId('once')) as HTMLTextAreaElement).value).toBe('muster-invite:AAAA')
  expect(sent(noc, 'POST')[0]?.body).toEqual({ sites: [1], hours: 24 })
  await user.click(screen.getByTestId('once-done'))
  expect(screen.queryByText('muster-invite:AAAA')).toBeNull()
})

test('administrators alone are led to operators and the audit log', async () => {
  open('/', 'operator')
  await screen.findByText('mail-1')
  expect(screen.queryByTestId('nav-audit')).toBeNull()
  open('/', 'administrator')
  expect(await screen.findByTestId('nav-audit')).toBeTruthy()
})
