import { screen, waitFor, within } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import { Fake } from '../backend/fake.ts'
import { openAt, REFUSED, refuse } from './testing.tsx'

let opened: ReturnType<typeof openAt> | undefined
const open = (...args: Parameters<typeof openAt>) => {
  opened = openAt(...args)
  return opened
}
afterEach(() => opened?.close())

const byId = (id: string) => screen.findByTestId(id)
const problemShown = async () => {
  const alert = await byId('problem')
  expect(alert.dataset.code).toBe(REFUSED.code)
  expect(alert.textContent).toContain(REFUSED.message)
  expect(alert.textContent).toContain(REFUSED.remedy)
}

test('an engine that does not answer is said, with a way to try again', async () => {
  const backend = new Fake()
  const start = backend.startState.bind(backend)
  backend.startState = refuse
  const { user } = open('/', {}, backend)
  await problemShown()
  backend.startState = start
  await user.click(screen.getByText('Try again'))
  await byId('discover')
})

test('first start: an expired invite is refused with its remedy, a good one leads to the appliances', async () => {
  const { user } = open('/', { first: true })
  await user.click(await byId('start-join'))
  const input = await byId('invite-input')
  await user.type(input, 'muster-invite:expired')
  await user.click(await byId('invite-submit'))
  expect((await byId('problem')).dataset.code).toBe('invite_expired')
  await user.clear(input)
  await user.type(input, 'muster-invite:good')
  await user.click(await byId('invite-submit'))
  await byId('discover')
})

test('first start: this computer, prefilled, wrong values named, then the appliances and the practice fleet', async () => {
  const { user } = open('/', { first: true })
  await user.click(await byId('start-local'))
  const pool = (await byId('setup-pool')) as HTMLInputElement
  expect(pool.value).toBe('192.0.2.10-192.0.2.99')
  await user.clear(pool)
  await user.click(await byId('local-submit'))
  expect((await byId('problem')).dataset.code).toBe('bad_pool')
  await user.type(pool, '192.0.2.10-192.0.2.20')
  await user.click(await byId('local-submit'))
  await byId('discover')
  await byId('nav-practice')
})

test('appliances: empty says what to do; a discovery fills the roll and says so aloud', async () => {
  const { user } = open('/')
  expect((await byId('empty')).textContent).toContain('No appliances yet')
  await user.click(await byId('discover'))
  await waitFor(() => expect(screen.getByTestId('count-unconfigured').textContent).toBe('6'))
  await waitFor(() =>
    expect(screen.getByTestId('live-region').textContent).toContain('6 appliances answered'),
  )
  expect(screen.getByTestId('configure').textContent).toContain('Configure 6 appliances')
  expect(screen.getByTestId('discovery-status').textContent).toContain('6 answered')
})

test('appliances: nobody answered is not a dead end', async () => {
  const { user } = open('/', { appliances: 0 })
  await user.click(await byId('discover'))
  await waitFor(() => expect(screen.getByTestId('empty').textContent).toContain('Nobody answered'))
})

test('appliances: a refused discovery is shown with its remedy', async () => {
  const { backend, user } = open('/')
  backend.discover = refuse
  await user.click(await byId('discover'))
  await problemShown()
})

test('appliances: a search that matches nobody says so and can be cleared', async () => {
  const { user } = open('/', { heard: true })
  await waitFor(() => expect(screen.getByTestId('count-all').textContent).toBe('6'))
  await user.keyboard('/')
  await user.type(screen.getByTestId('search'), 'nobody-has-this-name')
  await user.click(await byId('clear-filters'))
  await waitFor(() => expect(screen.queryByTestId('clear-filters')).toBeNull())
})

test('keys: d discovers, ? shows the shortcuts', async () => {
  const { user } = open('/alerts')
  await byId('alerts-list')
  await user.keyboard('d')
  await byId('discovery-status')
  await user.keyboard('?')
  expect((await screen.findAllByText('Keyboard shortcuts')).length).toBeGreaterThan(0)
})

test('a lost NOC is its own state on every page', async () => {
  open('/alerts', { lost: true })
  const banner = await byId('noc-lost')
  expect(banner.textContent).toContain('The NOC does not answer')
  expect(banner.textContent).toContain('may be old')
})

test('an appliance: settings, identity, beats as charts and as a table', async () => {
  const { backend, user, router } = open('/', { heard: true, configured: 1 })
  await waitFor(() => expect(screen.getByTestId('count-configured').textContent).toBe('6'))
  const uid = firstUid(backend)
  await router.navigate(`/appliances/${uid}`)
  const page = await byId('appliance-page')
  expect(await within(page).findByText(uid)).toBeTruthy()
  expect(await within(page).findAllByRole('img', { name: /^Load: now/ })).toHaveLength(1)
  await user.click(within(page).getByText('Table'))
  expect(within(await byId('beat-table')).getAllByRole('row').length).toBeGreaterThan(10)
})

test('an appliance: without beats, unknown, and with beats refused', async () => {
  const { backend, router } = open('/', { heard: true })
  await byId('discover')
  await router.navigate(`/appliances/${firstUid(backend)}`)
  expect((await byId('appliance-page')).textContent).toContain('It has no settings yet')
  await router.navigate('/appliances/NO-SUCH')
  expect((await byId('empty')).textContent).toContain('not known here')
  opened?.close()
  const other = open('/', { heard: true, configured: 1 })
  other.backend.beats = refuse
  await byId('discover')
  await other.router.navigate(`/appliances/${firstUid(other.backend)}`)
  await problemShown()
})

test('alerts: none, then one that opens, is counted, and leads to its appliance', async () => {
  const { backend, user } = open('/alerts', { heard: true, configured: 1 })
  expect((await byId('alerts-list')).textContent).toContain('No open alerts')
  const uid = firstUid(backend)
  backend.inject({
    kind: 'alerts',
    reset: false,
    alerts: [
      {
        id: 1,
        kind: 'silent',
        rule: '',
        site: 1,
        appliances: [{ uid, name: 'mail-01', health: 'silent' }],
        opened: Math.floor(Date.now() / 1000) - 60,
        closed: null,
        acknowledged: null,
        acknowledged_by: '',
        note: '',
        silenced_until: null,
        escalated: null,
      },
    ],
  })
  await waitFor(() => expect(screen.getByTestId('nav-alerts-count').textContent).toBe('1'))
  await user.click(screen.getByText('mail-01'))
  await byId('appliance-page')
})

test('alerts: one is acknowledged with a note, and a refusal keeps what was typed', async () => {
  const { backend, user } = open('/practice', { heard: true, configured: 1, speed: 100 })
  await user.click(await byId('practice-silence'))
  await waitFor(() => expect(screen.getByTestId('nav-alerts-count').textContent).toBe('1'))
  await user.click(screen.getByTestId('nav-alerts'))
  await user.click(await byId('acknowledge-1'))
  const acknowledge = backend.acknowledge.bind(backend)
  backend.acknowledge = refuse
  await user.type(screen.getByTestId('note'), 'on my way')
  await user.click(screen.getByTestId('note-save'))
  await problemShown()
  backend.acknowledge = acknowledge
  await user.click(screen.getByTestId('note-save'))
  expect((await byId('acknowledged-1')).textContent).toMatch(/Seen by console desk .*: on my way/)
  expect(screen.queryByTestId('acknowledge-1')).toBeNull()
})

test('a click on a notification opens the appliance', async () => {
  const { backend } = open('/', { heard: true, configured: 1 })
  await byId('discover')
  backend.inject({ kind: 'navigate', uid: firstUid(backend) })
  await byId('appliance-page')
})

test('practice: silencing leads to an alert, speaking again closes it', async () => {
  const { user } = open('/practice', { heard: true, configured: 1, speed: 100 })
  await user.click(await byId('practice-silence'))
  await byId('practice-silenced')
  await waitFor(() => expect(screen.getByTestId('nav-alerts-count').textContent).toBe('1'))
  await user.click(screen.getByText('Let it speak'))
  await waitFor(() => expect(screen.queryByTestId('nav-alerts-count')).toBeNull())
})

test('practice: nothing configured, and a refused knob', async () => {
  open('/practice', { heard: true })
  expect((await byId('practice-silence')).hasAttribute('disabled')).toBe(true)
  opened?.close()
  const other = open('/practice', { heard: true, configured: 1 })
  other.backend.setKnobs = refuse
  await other.user.click(await byId('practice-silence'))
  await problemShown()
})

test('inventory: wrong lines are listed and nothing is imported; a good file is', async () => {
  const { user } = open('/inventory')
  const input = await byId('manifest-input')
  await user.click(input)
  await user.paste('serial,mac,uid,claim\nSN1,00:1B:21:00:00:01,AAAA\nSN2,00:1B:21:00:00:02,BBBB,CCCC')
  await user.click(await byId('manifest-submit'))
  expect((await byId('manifest-errors')).textContent).toContain('Line 2')
  await user.clear(input)
  await user.paste('mac,uid\n00:1B:21:00:00:01,AAAA')
  await user.click(await byId('manifest-submit'))
  expect((await byId('problem')).dataset.code).toBe('bad_manifest')
  await user.clear(input)
  await user.paste('serial,mac,uid,claim\nSN2,00:1B:21:00:00:02,BBBB,CCCC')
  await user.click(await byId('manifest-submit'))
  expect((await byId('manifest-done')).textContent).toContain('1 appliance added')
})

test('settings: the colour scheme is remembered, the version shown', async () => {
  const { backend, user } = open('/settings')
  expect((await byId('version')).textContent).toContain('0.1.0')
  await user.click(screen.getByText('Dark'))
  await waitFor(async () => expect(await backend.getPreference('colour_scheme')).toBe('dark'))
  expect(document.documentElement.dataset.mantineColorScheme).toBe('dark')
})

function firstUid(backend: ReturnType<typeof openAt>['backend']): string {
  return backend.uids()[0] as string
}

test('messages of the NOC: none, then what came, how it stands, and where it leads', async () => {
  const { backend, user } = open('/messages', { heard: true, configured: 1 })
  expect((await byId('messages')).textContent).toContain('The NOC has sent no messages')
  expect(screen.queryByTestId('nav-messages')).toBeNull()
  const uid = firstUid(backend)
  const message = {
    number: '1795437845001',
    name: 'sendConfig',
    mac: 'AA:BB:CC:00:11:22',
    uid,
    received: 1_795_437_845,
    finished: null,
    state: 'taken' as const,
    job: 7,
    found: null,
    problem: null,
  }
  backend.inject({ kind: 'messages', messages: [message] })
  const row = await byId('message-1795437845001')
  expect(row.textContent).toContain('Configure')
  expect(within(row).getByText('Job 7').getAttribute('href')).toBe('/jobs/7')
  expect(screen.getByTestId('nav-messages-count').textContent).toBe('1')

  const why = { code: 'not_heard', message: 'it did not answer', remedy: 'Check its power.' }
  const failed = { ...message, state: 'failed' as const, finished: 1_795_437_846, problem: why }
  const list = { ...message, number: '1795437845002', name: 'getList', mac: '', uid: null, job: null }
  const listed = { ...list, state: 'done' as const, finished: 1_795_437_846, found: 24 }
  backend.inject({ kind: 'messages', messages: [listed, failed] })
  await waitFor(() => expect(screen.queryByTestId('nav-messages-count')).toBeNull())
  expect((await byId('message-1795437845002')).textContent).toContain('24 appliances')
  expect((await byId('message-1795437845001')).textContent).toContain('it did not answer Check its power.')
  await user.click(within(await byId('message-1795437845001')).getByText('AA:BB:CC:00:11:22'))
  await byId('appliance-page')
})
