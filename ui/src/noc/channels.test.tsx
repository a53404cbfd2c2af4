import { render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter } from 'react-router'
import { describe, expect, test } from 'vitest'
import { FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Alert, AlertEvent, Channel, OwnSession, Role } from '../backend/noc.ts'
import { draftOf, NEW, specOf } from './channelFields.ts'
import { FaceApp } from './FaceApp.tsx'
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

const list = (...items: unknown[]) => ({ items })

function channel(more: Partial<Channel> = {}): Channel {
  return {
    id: 4,
    organisation: 1,
    channel: {
      name: 'Hook',
      target: { kind: 'webhook', url: 'https://hooks.example.net/a', ca: '' },
      sites: [],
      kinds: [],
      only_escalations: false,
      quiet: { from: 1320, to: 390, offset: -210 },
      enabled: true,
    },
    has_secret: true,
    is_trusted: false,
    state: {
      waiting: 0,
      given_up: 0,
      delivered: NOW - 60,
      tried: NOW - 60,
      outcome: '200 taken',
      failing_since: null,
      due: null,
    },
    ...more,
  }
}

function alert(more: Partial<Alert> = {}): Alert {
  return {
    id: 7,
    organisation: 1,
    site: 1,
    kind: 'silent',
    rule: '',
    appliances: ['UID1'],
    opened: NOW - 600,
    closed: null,
    acknowledged: null,
    acknowledged_by: '',
    note: '',
    silenced_until: null,
    silenced_by: '',
    silence_note: '',
    escalated: null,
    ...more,
  }
}

function open(path: string, role: Role = 'administrator', change?: (noc: FakeNoc) => void) {
  const noc = new FakeNoc(somebody(role))
  noc.things.set('/v1/organisations', list({ id: 1, handle: 'acme', name: 'Acme AG' }))
  noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
  noc.things.set('/v1/alerts', list())
  noc.things.set('/v1/channels', list())
  change?.(noc)
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(<FaceApp noc={noc} router={router} />)
  return { noc, router, user: userEvent.setup() }
}

const sent = (noc: FakeNoc, method: string) => noc.asked.filter((one) => one.method === method)

describe('channels', () => {
  test('one is added, and its secret is shown once', async () => {
    const { noc, user } = open('/channels', 'administrator', (noc) =>
      noc.things.set('POST /v1/channels', { channel: channel(), secret: 'whsec_abc' }),
    )
    await screen.findByText('No channels yet')
    await user.click(screen.getByTestId('channel-add'))
    await user.type(screen.getByTestId('channel-name'), 'Hook')
    await user.selectOptions(screen.getByTestId('channel-kind'), 'webhook')
    await user.type(screen.getByTestId('channel-url'), ' https://hooks.example.net/a ')
    await user.click(screen.getByLabelText('Bern'))
    await user.click(screen.getByLabelText('Never reported'))
    await user.click(screen.getByTestId('channel-quiet'))
    await user.clear(screen.getByTestId('quiet-zone'))
    await user.type(screen.getByTestId('quiet-zone'), '-3:30')
    await user.click(screen.getByTestId('channel-save'))
    expect(((await screen.findByTestId('once')) as HTMLTextAreaElement).value).toBe('whsec_abc')
    expect(sent(noc, 'POST').at(-1)?.body).toEqual({
      organisation: 1,
      password: null,
      channel: {
        name: 'Hook',
        target: { kind: 'webhook', url: 'https://hooks.example.net/a', ca: '' },
        sites: [1],
        kinds: ['never_reported'],
        only_escalations: false,
        quiet: { from: 1320, to: 360, offset: -210 },
        enabled: true,
      },
    })
    noc.things.set('/v1/channels', list(channel()))
    await user.click(screen.getByTestId('once-done'))
    await screen.findByTestId('channel-4')
    expect(screen.queryByTestId('once')).toBeNull()
  })

  test('what the NOC refuses is said at its field, and nothing that was typed is gone', async () => {
    const { noc, user } = open('/channels')
    await user.click(await screen.findByTestId('channel-add'))
    await user.type(screen.getByTestId('channel-name'), 'Mail')
    await user.type(screen.getByTestId('channel-server'), 'mail.example.net')
    await user.type(screen.getByTestId('channel-from'), 'muster@example.net')
    await user.type(screen.getByTestId('channel-to'), 'a@example.net{enter}b')
    await user.type(screen.getByTestId('channel-user'), 'muster')
    await user.type(screen.getByTestId('channel-password'), 'secret')
    // The port follows the encryption.
    await user.selectOptions(screen.getByTestId('channel-security'), 'tls')
    noc.refusals.set(
      'POST /v1/channels',
      refusal(422, 'invalid', '`to` holds `b`.', [
        { field: 'to', code: 'invalid', message: 'holds `b`, which is not a mail address' },
      ]),
    )
    await user.click(screen.getByTestId('channel-save'))
    expect((await screen.findByTestId('problem')).dataset.code).toBe('invalid')
    expect(screen.getByText('holds `b`, which is not a mail address')).toBeTruthy()
    const asked = sent(noc, 'POST').at(-1)?.body as { password: string; channel: { target: object } }
    expect(asked.password).toBe('secret')
    expect(asked.channel.target).toMatchObject({ port: 465, to: ['a@example.net', 'b'] })
    expect((screen.getByTestId('channel-server') as HTMLInputElement).value).toBe('mail.example.net')
  })

  test('a test shows what the receiver said, failing ones say why, and removing asks first', async () => {
    const failing = {
      ...channel().state,
      waiting: 3,
      given_up: 1,
      failing_since: NOW - 900,
      outcome: 'it answered 500: <b>no</b>',
    }
    const { noc, user } = open('/channels', 'administrator', (noc) => {
      noc.things.set('/v1/channels', list(channel({ state: failing })))
      noc.things.set('POST /v1/channels/4/test', {
        is_delivered: false,
        answer: 'it answered 404: gone',
        took_ms: 12,
      })
    })
    const row = await screen.findByTestId('channel-4')
    expect(within(row).getByText('Failing')).toBeTruthy()
    const outcome = screen.getByTestId('outcome-4').textContent
    expect(outcome).toContain('3 events wait. 1 message was given up in the last seven days.')
    expect(outcome).toContain('it answered 500: <b>no</b>')
    await user.click(screen.getByTestId('test-4'))
    expect((await screen.findByTestId('tested-4')).textContent).toContain('it answered 404: gone')
    await user.click(screen.getByTestId('remove-4'))
    expect(sent(noc, 'DELETE')).toEqual([])
    await user.click(screen.getByTestId('remove-sure-4'))
    await waitFor(() => expect(sent(noc, 'DELETE').map((one) => one.path)).toEqual(['/v1/channels/4']))
  })

  test('a change that somebody else was faster with is not written over', async () => {
    const { noc, user } = open('/channels', 'administrator', (noc) => {
      noc.things.set('/v1/channels', list(channel()))
      const other = channel()
      noc.things.set('/v1/channels/4', { ...other, channel: { ...other.channel, name: 'Other' } })
    })
    await user.click(await screen.findByTestId('edit-4'))
    await user.click(screen.getByTestId('channel-escalations'))
    await user.click(screen.getByTestId('channel-save'))
    expect((await screen.findByTestId('problem')).dataset.code).toBe('changed_meanwhile')
    noc.things.set('/v1/channels/4', channel())
    noc.things.set('PUT /v1/channels/4', { channel: channel(), secret: null })
    await user.click(screen.getByTestId('channel-save'))
    await waitFor(() => expect(screen.queryByTestId('channel-form')).toBeNull())
    expect(sent(noc, 'PUT').at(-1)?.body).toMatchObject({
      channel: { only_escalations: true },
      password: null,
    })
  })

  test('what is typed comes back as it was kept', () => {
    for (const spec of [
      channel().channel,
      {
        ...channel().channel,
        quiet: null,
        target: { kind: 'alertmanager', url: 'https://a/', user: 'u', ca: 'x' } as const,
      },
      {
        ...channel().channel,
        target: {
          kind: 'email',
          server: 'm',
          port: 2525,
          security: 'none',
          user: '',
          from: 'a@b.example',
          to: ['c@d.example', 'e@f.example'],
          ca: '',
        } as const,
      },
    ])
      expect(specOf(draftOf({ ...spec, target: { ...spec.target } as never }))).toEqual(spec)
    expect(specOf(NEW).quiet).toBeNull()
  })
})

describe('alerts', () => {
  test('one is silenced with a reason, and the silence ended', async () => {
    const { noc, user } = open('/alerts', 'operator', (noc) => {
      noc.things.set('/v1/alerts', list(alert({ escalated: NOW - 60 })))
      noc.things.set('/v1/alerts/7', alert())
      noc.things.set('PUT /v1/alerts/7/silence', alert())
    })
    const row = (await screen.findAllByTestId('alert-7'))[0] as HTMLElement
    expect(within(row).getByTestId('escalated-7')).toBeTruthy()
    await user.click(within(row).getByTestId('silence-7'))
    await user.selectOptions(within(row).getByTestId('silence-hours'), '24')
    await user.type(within(row).getByTestId('silence-note'), 'rack is moved')
    const silenced = alert({
      silenced_until: NOW + 86_400,
      silenced_by: 'anna@acme',
      silence_note: 'rack is moved',
    })
    noc.things.set('/v1/alerts', list(silenced))
    await user.click(within(row).getByTestId('silence-save'))
    const body = await waitFor(() => {
      const put = sent(noc, 'PUT').at(-1)
      expect(put?.path).toBe('/v1/alerts/7/silence')
      return put?.body
    })
    expect(body).toEqual({ seconds: 86_400, note: 'rack is moved' })
    const shown = (await screen.findAllByTestId('silenced-7'))[0] as HTMLElement
    expect(shown.textContent).toContain('rack is moved')
    await user.click(within(shown).getByTestId('unsilence-7'))
    await waitFor(() => expect(sent(noc, 'DELETE').at(-1)?.path).toBe('/v1/alerts/7/silence'))
  })

  test('what became of one is told, and a viewer only sees', async () => {
    const event = (id: number, what: AlertEvent['what'], more: Partial<AlertEvent> = {}): AlertEvent => ({
      id,
      time: NOW - 600 + id,
      what,
      actor: 'noc',
      who: '',
      note: '',
      until: null,
      appliances: 0,
      ...more,
    })
    const { user } = open('/alerts', 'viewer', (noc) => {
      noc.things.set('/v1/alerts', list(alert()))
      noc.things.set(
        '/v1/alerts/7/events',
        list(
          event(1, 'opened', { appliances: 3 }),
          event(2, 'acknowledged', { actor: 'operator:1:anna@acme', who: 'anna@acme', note: '<i>mine</i>' }),
        ),
      )
    })
    const row = (await screen.findAllByTestId('alert-7'))[0] as HTMLElement
    expect(within(row).queryByTestId('acknowledge-7')).toBeNull()
    expect(within(row).queryByTestId('silence-7')).toBeNull()
    await user.click(within(row).getByTestId('history-7'))
    const events = await within(row).findByTestId('events-7')
    await waitFor(() => expect(within(events).getAllByRole('listitem')).toHaveLength(2))
    expect(events.textContent).toContain('Openedby the NOC3 appliances')
    expect(events.textContent).toContain('anna@acme<i>mine</i>')
  })

  test('what is looked for is asked of the NOC and stays in the address', async () => {
    const { noc, router, user } = open('/alerts?kind=site')
    await screen.findByText('There are none of those that you look for.')
    await user.selectOptions(screen.getByTestId('filter-site'), '1')
    await user.click(screen.getByTestId('filter-waiting'))
    await waitFor(() => expect(router.state.location.search).toBe('?kind=site&site=1&waiting=true'))
    await waitFor(() => {
      const asked = noc.asked.filter((one) => one.path === '/v1/alerts' && one.query?.open === true)
      expect(asked.at(-1)?.query).toMatchObject({ kind: 'site', site: '1', waiting: true })
    })
  })
})
