import { screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'
import { refusal } from '../backend/fakeNoc.ts'
import type { SessionView } from '../backend/noc.ts'
import { list, NOW, openFace, sent } from './faceOf.tsx'

const ANNA = {
  id: 1,
  organisation: 1,
  login: 'anna@acme',
  name: 'Anna',
  created: 1,
  disabled: null,
  roles: [],
}
const OTTO = { ...ANNA, id: 2, login: 'otto@acme', name: 'Otto' }
const session = (id: number, operator: number, login: string): SessionView => ({
  id,
  operator,
  login,
  kind: 'cookie',
  created: NOW,
  used: NOW,
  expires: NOW + 99,
  address: `192.0.2.${id}`,
  program: 'Chromium',
})

const open = () =>
  openFace('/operators', 'administrator', (noc) => {
    noc.things.set('/v1/sites', list())
    noc.things.set('/v1/operators', list(ANNA, OTTO))
    noc.things.set('/v1/sessions', list(session(1, 1, 'anna@acme'), session(9, 2, 'otto@acme')))
  })

test('an administrator sees who is signed in, and ends the sessions of others', async () => {
  const { noc, user } = open()
  const shown = (await screen.findAllByTestId('session')).map((one) => one.textContent ?? '')
  expect(shown.map((text) => [text.includes('@acme'), text.includes('This session')])).toEqual([
    [true, true],
    [true, false],
  ])
  expect(sent(noc, 'GET', '/v1/sessions')[0]?.query).toMatchObject({ organisation: '1' })
  noc.refusals.set('DELETE /v1/sessions/9', refusal(404, 'not_found', 'It is over.'))
  const end = screen.getByRole('button', { name: 'End the session of otto@acme from 192.0.2.9' })
  await user.click(end)
  expect((await screen.findByTestId('problem')).dataset.code).toBe('not_found')
  noc.refusals.clear()
  noc.things.set('/v1/sessions', list(session(1, 1, 'anna@acme')))
  await user.click(end)
  await waitFor(() =>
    expect(screen.queryByText('otto@acme', { selector: '[data-testid=session] *' })).toBeNull(),
  )
  expect(screen.queryByTestId('problem')).toBeNull()
})

test('the sessions of one person are asked for by their number', async () => {
  const { noc, user } = open()
  const row = within(await screen.findByTestId('operator-otto@acme'))
  await user.click(row.getByTestId('sessions-otto@acme'))
  await waitFor(() => expect(sent(noc, 'GET', '/v1/sessions').at(-1)?.query).toMatchObject({ operator: 2 }))
  expect(await row.findAllByTestId('session')).toHaveLength(2)
  await user.click(row.getByTestId('sessions-otto@acme'))
  expect(row.queryByTestId('session')).toBeNull()
})
