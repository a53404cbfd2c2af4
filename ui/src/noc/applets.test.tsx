import { screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'
import { refusal } from '../backend/fakeNoc.ts'
import type { Role } from '../backend/noc.ts'
import { type LibraryApplet, toBase64 } from '../backend/nocApplets.ts'
import { list, NOW, openFace, sent } from './faceOf.tsx'

const LIBRARY = '/v1/organisations/1/applets'
const AUTHORS = '/v1/organisations/1/applet-authors'
const KEY = 'c2lnbmVkIGJ5IEFjbWUsIGF1dGhvciBvZiBhcHBsZXQ='

const MAIL: LibraryApplet = {
  name: 'mail-gateway',
  title: 'Mail gateway',
  versions: [
    { version: '1.2.0', author: KEY, bytes: 20_480, published: NOW - 60, withdrawn: null },
    { version: '1.1.0', author: KEY, bytes: 20_000, published: NOW - 600, withdrawn: null },
    { version: '1.0.0', author: 'Z29uZQ==', bytes: 500, published: NOW - 6_000, withdrawn: NOW - 30 },
  ],
  channels: [
    { channel: 'stable', version: '1.1.0', former: null, percent: 100 },
    { channel: 'test', version: '1.2.0', former: '1.1.0', percent: 25 },
  ],
  floor: '1.1.0',
  places: [
    { site: 1, console: null, channel: 'test' },
    { site: null, console: 7, channel: 'none' },
  ],
}

function open(role: Role = 'administrator', ...applets: LibraryApplet[]) {
  return openFace('/applets', role, (noc) => {
    noc.things.set('/v1/sites', list({ id: 1, organisation: 1, policy: { name: 'Bern' } }))
    noc.things.set(LIBRARY, list(...applets))
    noc.things.set(AUTHORS, list({ id: 4, name: 'Acme', key: KEY, added: NOW }))
  })
}

test('the library shows what everybody has, of whom, and who has something else', async () => {
  open('viewer', MAIL)
  const card = await screen.findByTestId('applet-mail-gateway')
  expect(within(card).getByTestId('channel-stable').textContent).toBe('1.1.0')
  expect(within(card).getByTestId('channel-test').textContent).toBe(
    '1.2.0 for 25 % of the consoles, 1.1.0 for the others',
  )
  expect(card.textContent).toContain('Lowest version1.1.0')
  await waitFor(() => expect(card.textContent).toContain('Bern: test'))
  expect(card.textContent).toContain('Console 7: nothing')
  const row = (version: string) => screen.getByTestId(`version-mail-gateway-${version}`).textContent
  expect(row('1.2.0')).toContain('Acme')
  expect(row('1.2.0')).toContain('20 KiB')
  expect(row('1.0.0')).toContain('Withdrawn')
  expect(row('1.0.0')).toContain('an author who was removed')
  // Who may only look has nothing to press.
  for (const id of ['applet-file', 'release-1.2.0', 'withdraw-1.2.0', 'author-form', 'author-remove-4'])
    expect(screen.queryByTestId(id), id).toBeNull()
})

test('a version is released for a part of the consoles, withdrawn after a second thought, and made the lowest', async () => {
  const { noc, user } = open('administrator', MAIL)
  await user.click(await screen.findByTestId('release-1.2.0'))
  await user.clear(screen.getByTestId('release-percent'))
  await user.type(screen.getByTestId('release-percent'), '10')
  const release = `${LIBRARY}/mail-gateway/channels/stable`
  noc.things.set(`PUT ${release}`, MAIL)
  await user.click(screen.getByTestId('release-go'))
  await waitFor(() => expect(sent(noc, 'PUT', release)[0]?.body).toEqual({ version: '1.2.0', percent: 10 }))

  await user.click(screen.getByTestId('withdraw-1.2.0'))
  expect(sent(noc, 'DELETE', `${LIBRARY}/mail-gateway/versions/1.2.0`)).toHaveLength(0)
  await user.click(screen.getByTestId('withdraw-sure-1.2.0'))
  await waitFor(() => expect(sent(noc, 'DELETE', `${LIBRARY}/mail-gateway/versions/1.2.0`)).toHaveLength(1))

  // The lowest one already, and the one that was withdrawn, offer it not.
  expect(screen.queryByTestId('floor-1.1.0')).toBeNull()
  expect(screen.queryByTestId('withdraw-1.0.0')).toBeNull()
  const floor = `${LIBRARY}/mail-gateway/floor`
  noc.things.set(`PUT ${floor}`, MAIL)
  await user.click(screen.getByTestId('floor-1.2.0'))
  await user.click(screen.getByTestId('floor-sure-1.2.0'))
  await waitFor(() => expect(sent(noc, 'PUT', floor)[0]?.body).toEqual({ version: '1.2.0' }))
})

test('a signed file is published where it is told to; what the NOC refuses, and what is too long, is said', async () => {
  const { noc, user } = open('administrator')
  const input = await screen.findByTestId('applet-file')
  noc.refusals.set(`POST ${LIBRARY}`, refusal(409, 'applet_older', 'The version 1.2.0 is there already.'))
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256)
  await user.upload(input, new File([bytes], 'mail.applet'))
  expect((await screen.findByTestId('problem')).textContent).toContain('1.2.0 is there already')
  noc.refusals.clear()
  noc.things.set(`POST ${LIBRARY}`, MAIL)
  noc.things.set(LIBRARY, list(MAIL))
  await user.selectOptions(screen.getByTestId('applet-publish-channel'), 'stable')
  await user.upload(input, new File([bytes], 'mail.applet'))
  await screen.findByTestId('applet-mail-gateway')
  const body = sent(noc, 'POST', LIBRARY)[1]?.body as { bundle: string; channel: string }
  expect(body.channel).toBe('stable')
  expect(body.bundle).toBe(Buffer.from(bytes).toString('base64'))
  expect(screen.queryByTestId('problem')).toBeNull()

  await user.upload(input, new File([new Uint8Array(1_200_000)], 'long.applet'))
  expect((await screen.findByTestId('problem')).textContent).toContain('long.applet is longer')
  expect(sent(noc, 'POST', LIBRARY)).toHaveLength(2)
})

test('authors are added and removed; a key that is none is said at its field', async () => {
  const { noc, user } = open('administrator', MAIL)
  await user.type(await screen.findByTestId('author-name'), 'Umbrella')
  await user.type(screen.getByTestId('author-key'), 'nonsense')
  const fault = { field: 'key', code: 'invalid', message: 'is not an Ed25519 public key' }
  noc.refusals.set(`POST ${AUTHORS}`, refusal(422, 'invalid', 'The values are not in order.', [fault]))
  await user.click(screen.getByTestId('author-add'))
  expect((await screen.findAllByText(/is not an Ed25519 public key/)).length).toBeGreaterThan(0)
  noc.refusals.clear()
  noc.things.set(`POST ${AUTHORS}`, {})
  await user.click(screen.getByTestId('author-add'))
  await waitFor(() => expect((screen.getByTestId('author-name') as HTMLInputElement).value).toBe(''))
  expect(sent(noc, 'POST', AUTHORS)[1]?.body).toEqual({ name: 'Umbrella', key: 'nonsense' })
  await user.click(screen.getByTestId('author-remove-4'))
  await user.click(screen.getByTestId('author-remove-sure-4'))
  await waitFor(() => expect(sent(noc, 'DELETE', `${AUTHORS}/4`)).toHaveLength(1))
})

test('texts of an applet and an author are texts', async () => {
  const title = '<img src=x onerror="window.acted=1">'
  open('administrator', { ...MAIL, title })
  await screen.findByText(title)
  expect(document.querySelectorAll('img[src=x]')).toHaveLength(0)
})

test('bytes are base64, however many', () => {
  for (const length of [0, 1, 2, 3, 0x8000, 0x8001, 100_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7) % 256)
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
  }
})
