import { screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import { type FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Role } from '../backend/noc.ts'
import { list, NOW, openFace, sent } from './faceOf.tsx'

const PATH = '/v1/organisations/1/remote-write'
const IDLE = {
  sent: 0,
  refused: 0,
  lost: 0,
  waiting_since: null,
  delivered: null,
  tried: null,
  outcome: '',
  failing_since: null,
}
const NOWHERE = { target: null, has_password: false, is_trusted: false, state: IDLE }
const SET = {
  ...NOWHERE,
  target: { url: 'https://metrics.example.net/api/v1/write', user: 'muster', ca: '', enabled: true },
  has_password: true,
}

const open = (role: Role = 'administrator', change?: (noc: FakeNoc) => void) =>
  openFace('/organisations/1', role, (noc) => {
    noc.things.set('/v1/sites', list())
    noc.things.set('/v1/organisations/1/policy', { values: {}, profiles: [] })
    noc.things.set('/v1/organisations/1/monitoring', {})
    noc.things.set(PATH, NOWHERE)
    change?.(noc)
  })

test('a store is set, and its password goes out once', async () => {
  const { noc, user } = open()
  const url = await screen.findByTestId('remote-write-url')
  expect(screen.queryByTestId('remote-write-test')).toBeNull()
  await user.type(url, SET.target.url)
  await user.type(screen.getByTestId('remote-write-user'), 'muster')
  await user.type(screen.getByTestId('remote-write-password'), 'open sesame')
  noc.things.set(`PUT ${PATH}`, SET)
  noc.things.set(PATH, SET)
  await user.click(screen.getByTestId('remote-write-save'))
  await screen.findByTestId('remote-write-saved')
  expect(sent(noc, 'PUT', PATH)[0]?.body).toEqual({ target: SET.target, password: 'open sesame' })
  expect((screen.getByTestId('remote-write-password') as HTMLInputElement).value).toBe('')
  noc.things.set(`POST ${PATH}/test`, { is_delivered: false, answer: 'it answered 401: no', took_ms: 7 })
  await user.click(screen.getByTestId('remote-write-test'))
  expect((await screen.findByTestId('remote-write-tested')).textContent).toContain('it answered 401: no')
})

test('what is refused is said at its field', async () => {
  const { user } = open('administrator', (noc) =>
    noc.refusals.set(
      `PUT ${PATH}`,
      refusal(422, 'invalid', '`url` has a port that is not 1 to 65535', [
        { field: 'url', code: 'invalid', message: 'has a port that is not 1 to 65535' },
      ]),
    ),
  )
  await user.type(await screen.findByTestId('remote-write-url'), 'https://a:0/')
  await user.click(screen.getByTestId('remote-write-save'))
  expect(await screen.findByText('has a port that is not 1 to 65535')).toBeTruthy()
})

test('that a store takes nothing is said, with its words', async () => {
  const state = {
    ...IDLE,
    sent: 3,
    refused: 1,
    lost: 2,
    tried: NOW - 9,
    outcome: 'no way',
    failing_since: NOW - 99,
  }
  open('administrator', (noc) => noc.things.set(PATH, { ...SET, state }))
  const text = (await screen.findByTestId('remote-write-state')).textContent ?? ''
  for (const part of ['It fails since', '3 beats written', '1 beat was refused', '2 beats waited', 'no way'])
    expect(text).toContain(part)
})

test('who does not administer the organisation does not see where it goes', async () => {
  open('viewer')
  await screen.findByTestId('organisation-form')
  expect(screen.queryByTestId('remote-write-url')).toBeNull()
})
