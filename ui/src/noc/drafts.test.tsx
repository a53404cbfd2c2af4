import { render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter } from 'react-router'
import { expect, test } from 'vitest'
import { FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Appliance, Draft, DraftRow, OwnSession, Role, Version } from '../backend/noc.ts'
import { FaceApp } from './FaceApp.tsx'
import { routes } from './routes.tsx'

const NOW = Math.floor(Date.now() / 1000)
const SETTINGS = {
  host_name: 'mail-1',
  domain: 'old.example',
  address: '192.0.2.1',
  netmask: '/24',
  gateway: '',
  dns1: '',
  dns2: '',
}
const SITE = { id: 1, organisation: 1, policy: { name: 'Bern', domain: 'old.example', inherit: ['dns1'] } }
const DRAFT: Draft = {
  id: 7,
  sites: [1],
  title: 'new domain',
  made: NOW,
  made_by: 'operator:1:anna@acme',
  state: 'open',
  decided: null,
  decided_by: '',
  rows: { proposed: 2, stale: 1 },
}
const ROW: DraftRow = {
  uid: 'UID1',
  site: 1,
  serial: 'SN1',
  model: 'Mail',
  base: SETTINGS,
  wanted: { ...SETTINGS, domain: 'new.example' },
  changes: ['domain'],
  state: 'proposed',
  version: null,
  reason: '',
}
const list = (...items: unknown[]) => ({ items })

function open(path: string, role: Role = 'operator', change?: (noc: FakeNoc) => void) {
  const roles = [{ organisation: 1, site: null, role }]
  const me: OwnSession = {
    session: {
      id: 1,
      operator: 1,
      kind: 'cookie',
      created: NOW,
      used: NOW,
      expires: NOW + 9_999,
      address: '192.0.2.1',
      program: 'Chromium',
    },
    operator: { id: 1, organisation: 1, login: 'anna@acme', name: 'Anna', created: 1, disabled: null, roles },
    csrf: 'x',
  }
  const noc = new FakeNoc(me)
  noc.things.set('/v1/organisations', list({ id: 1, handle: 'acme', name: 'Acme AG' }))
  noc.things.set('/v1/sites', list(SITE))
  noc.things.set('/v1/sites/1', SITE)
  noc.things.set('/v1/alerts', list())
  noc.things.set('/v1/drafts', list(DRAFT))
  noc.things.set('/v1/drafts/7', {
    draft: DRAFT,
    difference: {
      lines: [{ column: 'domain', before: 'old.example', after: 'new.example', appliances: 3 }],
      more: 2,
    },
  })
  noc.things.set('/v1/drafts/7/rows', list(ROW))
  change?.(noc)
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(<FaceApp noc={noc} router={router} />)
  return { noc, user: userEvent.setup(), router }
}

const sent = (noc: FakeNoc, path: string) =>
  noc.asked.filter((one) => one.method === 'POST' && one.path === path).map((one) => one.body)

test('a draft is one difference, and is applied to all or refused with the reason', async () => {
  const { noc, user } = open('/drafts/7')
  const table = await screen.findByTestId('difference')
  expect(within(table).getAllByRole('row')[1]?.textContent).toBe('Domainold.examplenew.example3')
  expect(screen.getByText(/and 2 more lines/)).toBeTruthy()
  expect(screen.getByTestId('draft-standing').textContent).toBe('2 Would change, 1 Changed otherwise')
  expect(await within(await screen.findByTestId('draft-rows')).findByText('mail-1')).toBeTruthy()
  noc.refusals.set('POST /v1/drafts/7/apply', refusal(409, 'draft_refused', 'One of them does not fit.'))
  await user.click(screen.getByTestId('draft-apply'))
  expect((await screen.findByTestId('problem')).dataset.code).toBe('draft_refused')
  noc.refusals.clear()
  noc.things.set('POST /v1/drafts/7/apply', { ...DRAFT, state: 'applied' })
  noc.things.set('/v1/drafts/7', {
    draft: {
      ...DRAFT,
      state: 'applied',
      decided: NOW,
      decided_by: 'operator:1:anna@acme',
      rows: { waiting: 3 },
    },
    difference: { lines: [], more: 0 },
  })
  await user.click(screen.getByTestId('draft-apply'))
  expect(await screen.findByText('3 Waits for a beat')).toBeTruthy()
  expect(screen.queryByTestId('draft-apply')).toBeNull()
})

test('who may not decide is not asked to', async () => {
  open('/drafts/7', 'viewer')
  await screen.findByTestId('difference')
  expect(screen.queryByTestId('draft-apply')).toBeNull()
})

test('a new draft says what it is for and what changes; a dash stands for none', async () => {
  const { noc, user } = open('/drafts/new')
  noc.things.set('POST /v1/drafts', DRAFT)
  await user.type(await screen.findByTestId('draft-title'), ' new domain ')
  await user.selectOptions(screen.getByTestId('draft-kind'), 'edit')
  await user.type(screen.getByTestId('draft-domain'), 'new.example')
  await user.type(screen.getByTestId('draft-dns1'), '-')
  await user.type(screen.getByTestId('draft-ntp'), 'ntp.example.net')
  await user.type(screen.getByTestId('draft-search_domains'), '-')
  await user.click(screen.getByTestId('draft-make'))
  expect(await screen.findByTestId('difference')).toBeTruthy()
  const edit = { domain: 'new.example', dns1: '', ntp: 'ntp.example.net', search_domains: 'none' }
  expect(sent(noc, '/v1/drafts')).toEqual([{ sites: [1], title: 'new domain', changes: { edit: { edit } } }])
})

test('a draft is for several sites of one organisation, and its appliances say where they are', async () => {
  const THUN = { ...SITE, id: 2, policy: { ...SITE.policy, name: 'Thun' } }
  const { noc, user } = open('/drafts/new', 'operator', (noc) => {
    noc.things.set('/v1/sites', list(SITE, THUN, { ...SITE, id: 3, organisation: 2 }))
    const draft = { ...DRAFT, sites: [1, 2] }
    noc.things.set('POST /v1/drafts', draft)
    noc.things.set('/v1/drafts/7', { draft, difference: { lines: [], more: 0 } })
    noc.things.set('/v1/drafts/7/rows', list(ROW, { ...ROW, uid: 'UID2', site: 2 }))
  })
  const make = (await screen.findByTestId('draft-make')) as HTMLButtonElement
  expect(make.disabled, 'no site is chosen for anybody who works at several').toBe(true)
  expect(screen.queryByTestId('draft-site-3'), 'of another organisation').toBeNull()
  await user.click(screen.getByTestId('draft-site-2'))
  await user.click(screen.getByTestId('draft-site-1'))
  await user.click(make)
  const rows = within(await screen.findByTestId('draft-rows'))
  expect(await rows.findByText('Thun')).toBeTruthy()
  expect(rows.getByText('Bern')).toBeTruthy()
  expect(screen.getByTestId('draft-apply')).toBeTruthy()
  expect(sent(noc, '/v1/drafts')).toEqual([{ sites: [2, 1], title: '', changes: { policy: {} } }])
})

test('an appliance goes back to a former version, with the reason', async () => {
  const version = (n: number, more: Partial<Version>): Version => ({
    version: n,
    seq: n,
    site: 1,
    settings: SETTINGS,
    changes: ['domain'],
    who: 'console:1',
    why: '',
    signed: NOW,
    state: 'applied',
    is_in_force: false,
    reason: '',
    decided: NOW,
    ...more,
  })
  const appliance: Appliance = {
    organisation: 1,
    uid: 'UID1',
    mac: '02:00:00:00:00:01',
    serial: '',
    model: '',
    site: 1,
    settings: SETTINGS,
    provisioning: 'configured',
    health: 'well',
    last_beat: null,
    beat: null,
  }
  const { noc, user } = open('/appliances/UID1', 'operator', (noc) => {
    noc.things.set('/v1/appliances/UID1', appliance)
    noc.things.set('/v1/appliances/UID1/beats', list())
    noc.things.set('/v1/appliances/UID1/instructions', list())
    noc.things.set(
      '/v1/appliances/UID1/versions',
      list(
        version(3, { state: 'failed', reason: 'no_beat' }),
        version(2, { is_in_force: true }),
        version(1, { why: 'the first' }),
      ),
    )
  })
  noc.things.set('POST /v1/appliances/UID1/rollback', null)
  const shown = (await screen.findAllByTestId('version')).map((one) => one.textContent ?? '')
  expect(shown.map((text) => /Failed: no_beat|Was in force|In force/.exec(text)?.[0])).toEqual([
    'Failed: no_beat',
    'In force',
    'Was in force',
  ])
  expect(screen.queryByTestId('back-2'), 'what is in force').toBeNull()
  await user.click(screen.getByTestId('back-1'))
  await user.type(screen.getByTestId('back-why'), 'it worked better')
  await user.click(screen.getByTestId('back-go'))
  expect(sent(noc, '/v1/appliances/UID1/rollback')).toEqual([{ version: 1, why: 'it worked better' }])
})

test('a site has values from its organisation, and takes them back', async () => {
  const { noc, user } = open('/sites/1', 'administrator')
  const dns1 = (await screen.findByTestId('field-dns1')) as HTMLInputElement
  expect([dns1.readOnly, (screen.getByTestId('field-dns2') as HTMLInputElement).readOnly]).toEqual([
    true,
    false,
  ])
  await user.click(screen.getByTestId('inherit-dns1'))
  await user.click(screen.getByTestId('inherit-domain'))
  await user.type(dns1, '192.0.2.53')
  noc.things.set('PUT /v1/sites/1', SITE)
  await user.click(screen.getByTestId('site-save'))
  await screen.findByTestId('site-saved')
  const put = noc.asked.find((one) => one.method === 'PUT')?.body as Record<string, unknown>
  expect([put.inherit, put.dns1, put.domain]).toEqual([['domain'], '192.0.2.53', 'old.example'])
})
