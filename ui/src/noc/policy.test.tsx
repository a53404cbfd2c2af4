import { screen, waitFor, within } from '@testing-library/react'
import { describe, expect, test } from 'vitest'
import { type FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { PreviewRow, Role } from '../backend/noc.ts'
import { list, openFace, sent } from './faceOf.tsx'

const POLICY = {
  name: 'Bern',
  pool: '192.0.2.10-192.0.2.99',
  netmask: '/24',
  domain: 'a.example',
  inherit: [],
}
const SITE = { id: 1, organisation: 1, policy: POLICY }
const RESERVATION = {
  uid: '',
  mac: '',
  serial: 'SN1',
  address: '192.0.2.5',
  address6: '',
  host_name: 'gate',
  note: 'the old one',
}

const open = (path: string, role: Role = 'administrator', change?: (noc: FakeNoc) => void) =>
  openFace(path, role, (noc) => {
    noc.things.set('/v1/sites', list(SITE))
    noc.things.set('/v1/sites/1', SITE)
    noc.things.set('/v1/organisations/1/policy', { values: { dns1: '10.0.0.1' }, profiles: [] })
    noc.things.set('/v1/organisations/1/monitoring', {})
    noc.things.set('/v1/sites/1/profiles', {
      profiles: [{ model: 'Mail', values: { pool: '192.0.2.10-192.0.2.19' } }],
    })
    noc.things.set('/v1/sites/1/reservations', list({ id: 4, reservation: RESERVATION }))
    noc.things.set('/v1/sites/1/reservations/4', { id: 4, reservation: RESERVATION })
    change?.(noc)
  })

describe('what an organisation says', () => {
  test('is said value by value, and what is not said is left out', async () => {
    const { noc, user } = open('/organisations/1')
    await user.click(await screen.findByTestId('said-say-domain'))
    await user.type(screen.getByTestId('said-domain'), 'acme.example')
    await user.click(screen.getByTestId('said-say-dns1'))
    await user.click(screen.getByTestId('said-say-beat_interval_s'))
    await user.clear(screen.getByTestId('said-beat_interval_s'))
    await user.type(screen.getByTestId('said-beat_interval_s'), '30')
    await user.type(screen.getByTestId('profile-model'), ' Mail Guard {Enter}')
    await user.click(screen.getByTestId('profile-0-say-drift'))
    const body = {
      values: { domain: 'acme.example', beat_interval_s: 30 },
      profiles: [{ model: 'Mail Guard', values: { drift: 'image' } }],
    }
    noc.things.set('PUT /v1/organisations/1/policy', body)
    await user.click(screen.getByTestId('organisation-save'))
    await screen.findByTestId('organisation-saved')
    const [put] = sent(noc, 'PUT', '/v1/organisations/1/policy')
    expect([put?.tag, put?.body]).toEqual(['1', body])
  })

  test('the proof of ownership that is required is one of three', async () => {
    const { noc, user } = open('/organisations/1')
    await user.click(await screen.findByTestId('said-say-proof'))
    const proof = screen.getByTestId('said-proof') as HTMLSelectElement
    expect([...proof.options].map((one) => one.value)).toEqual(['any', 'claim', 'voucher'])
    await user.selectOptions(proof, 'voucher')
    noc.things.set('PUT /v1/organisations/1/policy', { values: { proof: 'voucher' }, profiles: [] })
    await user.click(screen.getByTestId('organisation-save'))
    await screen.findByTestId('organisation-saved')
    const [put] = sent(noc, 'PUT', '/v1/organisations/1/policy')
    expect(put?.body).toMatchObject({ values: { proof: 'voucher' } })
  })

  test('application settings are a text, which the NOC reads', async () => {
    const { noc, user } = open('/organisations/1')
    await user.click(await screen.findByTestId('said-say-application'))
    await user.click(screen.getByTestId('said-application'))
    await user.paste('{"relay": "mx.acme.example"}')
    const why = 'the application settings are no JSON at character 1'
    const faults = [{ field: 'application', code: 'application_not_json', message: why }]
    noc.refusals.set(
      'PUT /v1/organisations/1/policy',
      refusal(422, 'site_invalid', 'It does not fit.', faults),
    )
    await user.click(screen.getByTestId('organisation-save'))
    expect((await screen.findByTestId('faults')).textContent).toContain('at character 1')
    const [put] = sent(noc, 'PUT', '/v1/organisations/1/policy')
    const values = { dns1: '10.0.0.1', application: '{"relay": "mx.acme.example"}' }
    expect(put?.body).toEqual({ values, profiles: [] })
  })

  test('time servers and search domains are said, and refused at their fields', async () => {
    const { noc, user } = open('/organisations/1')
    await user.click(await screen.findByTestId('said-say-ntp'))
    await user.type(screen.getByTestId('said-ntp'), 'ntp.acme.example 192.0.2.300')
    await user.click(screen.getByTestId('said-say-search_domains'))
    await user.type(screen.getByTestId('said-search_domains'), 'lab.acme.example')
    const why = '`192.0.2.300` is not an IPv4 address'
    const faults = [{ field: 'ntp', code: 'bad_address', message: why }]
    noc.refusals.set(
      'PUT /v1/organisations/1/policy',
      refusal(422, 'site_invalid', 'It does not fit.', faults),
    )
    await user.click(screen.getByTestId('organisation-save'))
    expect((await screen.findByTestId('faults')).textContent).toContain(why)
    const [put] = sent(noc, 'PUT', '/v1/organisations/1/policy')
    const values = {
      dns1: '10.0.0.1',
      ntp: 'ntp.acme.example 192.0.2.300',
      search_domains: 'lab.acme.example',
    }
    expect(put?.body).toEqual({ values, profiles: [] })
  })

  test('that does not fit a site is refused with each fault, and stays', async () => {
    const faults = [{ field: 'dns1', code: 'bad_address', message: 'site Bern: `x` is no address' }]
    const { user } = open('/organisations/1', 'administrator', (noc) =>
      noc.refusals.set(
        'PUT /v1/organisations/1/policy',
        refusal(422, 'site_invalid', 'It does not fit.', faults),
      ),
    )
    const dns1 = (await screen.findByTestId('said-dns1')) as HTMLInputElement
    await user.clear(dns1)
    await user.type(dns1, 'x')
    await user.click(screen.getByTestId('organisation-save'))
    expect((await screen.findByTestId('faults')).textContent).toContain('site Bern')
    expect(dns1.value).toBe('x')
  })

  test('is shown to viewers, who cannot change it', async () => {
    open('/organisations/1', 'viewer')
    expect(((await screen.findByTestId('said-dns1')) as HTMLInputElement).readOnly).toBe(true)
    expect(screen.queryByTestId('organisation-save')).toBeNull()
    expect(screen.queryByTestId('profile-model')).toBeNull()
  })

  test('does not write over what somebody else has said meanwhile', async () => {
    const { noc, user } = open('/organisations/1')
    await user.type(await screen.findByTestId('said-dns1'), '7')
    noc.things.set('/v1/organisations/1/policy', { values: { dns1: '10.0.0.9' }, profiles: [] })
    noc.changed({ kinds: ['organisation'] })
    await user.click(await screen.findByTestId('conflict-theirs'))
    expect((screen.getByTestId('said-dns1') as HTMLInputElement).value).toBe('10.0.0.9')
  })
})

describe('a model at a site', () => {
  test('has its own values, and no model is there twice', async () => {
    const { noc, user } = open('/sites/1/models')
    await user.click(await screen.findByTestId('profile-0-say-host_name'))
    const name = screen.getByTestId('profile-0-host_name')
    await user.clear(name)
    await user.type(name, 'mail')
    await user.type(screen.getByTestId('profile-model'), 'MAIL ')
    expect((screen.getByTestId('profile-add') as HTMLButtonElement).disabled).toBe(true)
    const profiles = [{ model: 'Mail', values: { pool: '192.0.2.10-192.0.2.19', host_name: 'mail' } }]
    noc.things.set('PUT /v1/sites/1/profiles', { profiles })
    await user.click(screen.getByTestId('models-save'))
    await screen.findByTestId('models-saved')
    expect(sent(noc, 'PUT', '/v1/sites/1/profiles')[0]?.body).toEqual({ profiles })
  })
})

describe('a preview', () => {
  const row = (n: number, more: Partial<PreviewRow>): PreviewRow => ({
    uid: `UID${n}`,
    serial: `SN${n}`,
    model: 'Mail',
    current: null,
    settings: null,
    rules: {},
    changes: [],
    problem: null,
    ...more,
  })
  const settings = (address: string) => ({
    host_name: 'mail-1',
    domain: '',
    address,
    netmask: '/24',
    gateway: '',
    dns1: '',
    dns2: '',
  })
  const rows = list(
    row(1, {
      current: settings('192.0.2.1'),
      settings: settings('192.0.2.2'),
      changes: ['address'],
      rules: { address: 'site pool 192.0.2.2' },
    }),
    row(2, {
      problem: { code: 'pool_empty', title: 'the pool has no address left', detail: 'Make it larger.' },
    }),
  )

  test('of a policy that is only thought of comes before it is saved', async () => {
    const { noc, user } = open('/sites/1', 'administrator', (noc) =>
      noc.things.set('POST /v1/sites/1/preview?limit=200&changes=true', rows),
    )
    await user.type(await screen.findByTestId('field-dns1'), '192.0.2.53')
    await user.click(screen.getByTestId('site-try'))
    const shown = (await screen.findAllByTestId('preview-row')).map((one) => one.textContent)
    expect(shown[0]).toContain('IP: 192.0.2.1 → 192.0.2.2 site pool 192.0.2.2')
    expect(shown[1]).toContain('the pool has no address left. Make it larger.')
    const [asked] = sent(noc, 'POST', '/v1/sites/1/preview?limit=200&changes=true')
    expect(asked?.body).toMatchObject({ policy: { dns1: '192.0.2.53', name: 'Bern' } })
    expect(sent(noc, 'PUT', '/v1/sites/1')).toHaveLength(0)
    await user.type(screen.getByTestId('field-dns1'), '1')
    expect(screen.queryByTestId('preview'), 'of another policy').toBeNull()
  })

  test('of what is kept stands beside what it comes to, and who says so', async () => {
    const value = (value: string, source: string) => ({ value, source })
    const { user } = open('/sites/1/result', 'viewer', (noc) => {
      noc.things.set('/v1/sites/1/effective', {
        policies: [
          { values: { dns1: value('10.0.0.1', 'organisation'), drift: value('image', 'default') } },
          { model: 'mail', values: { dns1: value('10.0.0.2', 'site profile Mail') } },
        ],
      })
      noc.things.set('POST /v1/sites/1/preview?limit=200&changes=true', list())
    })
    const table = within(await screen.findByTestId('effective'))
    expect(table.getByText('10.0.0.1').nextSibling?.textContent).toBe('the organisation')
    expect(table.getByText("as the appliance's image says")).toBeTruthy()
    await user.selectOptions(screen.getByTestId('effective-model'), 'mail')
    expect(table.getByText('10.0.0.2').nextSibling?.textContent).toBe('the site, for Mail')
    expect(screen.getByTestId('preview-none')).toBeTruthy()
  })
})

describe('reservations', () => {
  test('are added for whom is chosen, and faults stand at their values', async () => {
    const { noc, user } = open('/sites/1/reservations')
    await user.click(await screen.findByTestId('reservation-add'))
    await user.type(screen.getByTestId('reservation-serial'), 'typed before')
    await user.selectOptions(screen.getByTestId('reservation-whose'), 'mac')
    await user.type(screen.getByTestId('reservation-mac'), '02:00:00:00:00:01')
    await user.type(screen.getByTestId('reservation-address'), '198.51.100.1')
    const faults = [{ field: 'address', code: 'invalid', message: 'cannot be one of this site' }]
    noc.refusals.set('POST /v1/sites/1/reservations', refusal(422, 'invalid', 'No.', faults))
    await user.click(screen.getByTestId('reservation-save'))
    expect(await screen.findByText('cannot be one of this site')).toBeTruthy()
    noc.refusals.clear()
    noc.things.set('POST /v1/sites/1/reservations', { id: 5 })
    await user.click(screen.getByTestId('reservation-save'))
    await waitFor(() => expect(screen.queryByTestId('reservation-form')).toBeNull())
    expect(sent(noc, 'POST', '/v1/sites/1/reservations').at(-1)?.body).toMatchObject({
      mac: '02:00:00:00:00:01',
      serial: '',
      address: '198.51.100.1',
    })
  })

  test('are changed over the version that was shown, and given up after a question', async () => {
    const { noc, user } = open('/sites/1/reservations')
    await user.click(await screen.findByTestId('reservation-edit'))
    const note = await screen.findByTestId('reservation-note')
    await user.clear(note)
    await user.type(note, 'new')
    const path = '/v1/sites/1/reservations/4'
    noc.refusals.set(`PUT ${path}`, refusal(412, 'changed_meanwhile', 'It was changed.'))
    await user.click(screen.getByTestId('reservation-save'))
    expect((await screen.findByTestId('problem')).dataset.code).toBe('changed_meanwhile')
    expect((note as HTMLInputElement).value).toBe('new')
    noc.refusals.clear()
    noc.things.set(`PUT ${path}`, { id: 4, reservation: RESERVATION })
    await user.click(screen.getByTestId('reservation-save'))
    await waitFor(() => expect(screen.queryByTestId('reservation-form')).toBeNull())
    expect(sent(noc, 'PUT', path).at(-1)).toMatchObject({ tag: '1', body: { ...RESERVATION, note: 'new' } })
    await user.click(screen.getByTestId('reservation-remove'))
    expect(sent(noc, 'DELETE', path)).toHaveLength(0)
    await user.click(screen.getByTestId('reservation-remove-sure'))
    expect(sent(noc, 'DELETE', path)).toHaveLength(1)
  })

  test('from a file that is wrong stay, with every line that is', async () => {
    const { noc, user } = open('/sites/1/reservations')
    const path = '/v1/sites/1/reservations/import'
    const csv = 'serial,address\nA,192.0.2.300\n'
    const text = (await screen.findByTestId('reservations-import-text')) as HTMLTextAreaElement
    await user.click(text)
    await user.paste(csv)
    const lines = [{ line: 2, code: 'bad_address', message: 'the address is no IPv4 address' }]
    noc.refusals.set(`POST ${path}`, refusal(422, 'table_invalid', '1 line is wrong.', [], lines))
    await user.click(screen.getByTestId('reservations-import-go'))
    expect((await screen.findByTestId('faults')).textContent).toBe('Line 2: the address is no IPv4 address')
    expect(text.value).toBe(csv)
    noc.refusals.clear()
    noc.things.set(`POST ${path}`, { added: 1, replaced: 2, unchanged: 3 })
    await user.click(screen.getByTestId('reservations-import-go'))
    expect(await screen.findByText('1 added, 2 replaced, 3 as they were.')).toBeTruthy()
    expect([text.value, sent(noc, 'POST', path).at(-1)?.body]).toEqual(['', { csv }])
  })

  test('are there to be seen for viewers', async () => {
    open('/sites/1/reservations', 'viewer')
    expect(await screen.findByText('192.0.2.5 gate')).toBeTruthy()
    for (const id of ['reservation-add', 'reservation-edit', 'reservations-import'])
      expect(screen.queryByTestId(id)).toBeNull()
    expect(screen.getByTestId('reservations-export').getAttribute('href')).toBe(
      '/v1/sites/1/reservations.csv',
    )
  })
})
