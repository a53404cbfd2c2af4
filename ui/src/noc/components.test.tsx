import { screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'
import { type FakeNoc, refusal } from '../backend/fakeNoc.ts'
import type { Role } from '../backend/noc.ts'
import type { Rollout, RolloutWave } from '../backend/nocComponents.ts'
import { list, NOW, openFace, sent } from './faceOf.tsx'

const ROLLOUTS = '/v1/components/rollouts'
const STANDINGS = '/v1/components/standings'

function wave(reaches: string, more: Partial<RolloutWave> = {}): RolloutWave {
  return { reaches, begun: false, waiting: 0, well: 0, failed: 0, excused: 0, absent: 0, ...more }
}

const RUNNING: Rollout = {
  id: 7,
  organisation: 1,
  site: null,
  name: 'filter',
  model: null,
  version: '2.0',
  former: '1.0',
  state: 'running',
  in_force: true,
  why: '',
  wave: 2,
  waves: [
    wave('1%', { begun: true, well: 4 }),
    wave('10%', { begun: true, well: 20, waiting: 15, absent: 1 }),
    wave('100%'),
  ],
  failures: [],
  soak_s: 1_800,
  halt_at: '5%',
  within_s: 21_600,
  started: NOW - 600,
  started_by: 'local',
  begun: NOW - 60,
  next: null,
  ended: null,
}
const HALTED: Rollout = {
  ...RUNNING,
  state: 'halted',
  why: '3 of 36 appliances of wave 2 failed; at most 5% may',
  waves: [
    wave('1%', { begun: true, well: 4 }),
    wave('10%', { begun: true, well: 33, failed: 3 }),
    wave('100%'),
  ],
  failures: [{ uid: 'UID3', why: 'unhealthy: it ended with 1' }],
}

const open = (role: Role, change?: (noc: FakeNoc) => void, path = '/components') =>
  openFace(path, role, (noc) => {
    noc.things.set('/v1/sites', list())
    noc.things.set(ROLLOUTS, list(RUNNING))
    noc.things.set('/v1/organisations/1/components', {
      required: [
        {
          name: 'filter',
          version: '2.0',
          waves: { waves: ['1%', '10%', '100%'], soak_s: 1_800, halt_at: '5%', within_s: 21_600 },
        },
      ],
    })
    noc.things.set(
      STANDINGS,
      list({
        uid: 'UID1',
        organisation: 1,
        site: null,
        model: 'Mail',
        components: [
          {
            name: 'filter',
            version: '2.0',
            state: 'failed',
            running: '1.0',
            percent: 40,
            problem: 'disk full',
          },
        ],
      }),
    )
    change?.(noc)
  })

test('what is required, what runs where and how far a roll-out is are on one page', async () => {
  const { noc, user } = open('administrator')
  const second = (await screen.findAllByTestId('wave-2'))[0]
  expect(second?.textContent).toContain('20 well, 15 waiting, 1 silent before')
  expect(second?.getAttribute('aria-current')).toBe('step')
  expect(screen.getAllByTestId('wave-3')[0]?.textContent).toContain('not begun')
  const required = await screen.findByTestId('required')
  expect(within(required).getByText('1%, 10%, 100%; 30m each; halts above 5%')).toBeTruthy()
  const rows = await screen.findByTestId('standings')
  for (const part of ['UID1', '1.0', '2.0', 'Failed', 'disk full']) expect(rows.textContent).toContain(part)
  await user.click(screen.getByTestId('behind'))
  await waitFor(() =>
    expect(sent(noc, 'GET', STANDINGS).at(-1)?.query).toMatchObject({ behind: true, organisation: 1 }),
  )
})

test('it is read anew when appliances say something', async () => {
  const { noc } = open('administrator')
  await screen.findAllByTestId('wave-2')
  noc.things.set(ROLLOUTS, list({ ...RUNNING, waves: [wave('1%', { begun: true, well: 77 })] }))
  noc.changed({ kinds: ['rollout'] })
  expect((await screen.findAllByText(/77 well/)).length).toBeGreaterThan(0)
})

test('a roll-out that halted says why, and is gone on with as it was seen', async () => {
  const { noc, user } = open('administrator', (noc) => noc.things.set(ROLLOUTS, list(HALTED)))
  expect((await screen.findAllByTestId('rollout-why'))[0]?.textContent).toBe(HALTED.why)
  expect(screen.getAllByTestId('rollout-failures')[0]?.textContent).toContain('UID3 unhealthy')
  expect(screen.queryByTestId('rollout-halt')).toBeNull()
  noc.things.set(`POST ${ROLLOUTS}/7/continue`, RUNNING)
  await user.click(screen.getAllByTestId('rollout-continue')[0] as HTMLElement)
  await waitFor(() => expect(sent(noc, 'POST', `${ROLLOUTS}/7/continue`)[0]?.body).toEqual({ wave: 2 }))
})

test('it is taken back only when that was said twice, and a refusal is shown', async () => {
  const { noc, user } = open('administrator', (noc) =>
    noc.refusals.set(`POST ${ROLLOUTS}/7/back`, refusal(409, 'rollout_over', 'roll-out 7 is done')),
  )
  await user.click((await screen.findAllByTestId('rollout-back'))[0] as HTMLElement)
  expect(sent(noc, 'POST', `${ROLLOUTS}/7/back`)).toEqual([])
  expect(screen.getByText('39 appliances go back to what they had.')).toBeTruthy()
  await user.click(screen.getByTestId('back-yes'))
  expect(await screen.findByText('roll-out 7 is done')).toBeTruthy()
})

test('operators halt and nothing more, viewers do nothing', async () => {
  const { noc, user } = open('operator')
  noc.things.set(`POST ${ROLLOUTS}/7/halt`, HALTED)
  const halt = (await screen.findAllByTestId('rollout-halt'))[0] as HTMLElement
  expect(screen.queryByTestId('rollout-continue')).toBeNull()
  expect(screen.queryByTestId('rollout-back')).toBeNull()
  await user.click(halt)
  await waitFor(() => expect(sent(noc, 'POST', `${ROLLOUTS}/7/halt`)).toHaveLength(1))
})

test('viewers see it all and change nothing', async () => {
  open('viewer')
  await screen.findAllByTestId('wave-1')
  expect(screen.queryByTestId('rollout-halt')).toBeNull()
})

test('that nothing is there is said', async () => {
  open('viewer', (noc) => {
    noc.things.set(ROLLOUTS, list())
    noc.things.set(STANDINGS, list())
    noc.things.set('/v1/organisations/1/components', {})
  })
  expect(await screen.findByText('No components here')).toBeTruthy()
  expect(await screen.findByTestId('required-none')).toBeTruthy()
})
