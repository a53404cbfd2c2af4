import { screen, waitFor, within } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import { openAt, REFUSED, refuse } from './testing.tsx'

let opened: ReturnType<typeof openAt> | undefined
const open = (...args: Parameters<typeof openAt>) => {
  opened = openAt(...args)
  return opened
}
afterEach(() => opened?.close())

const byId = (id: string) => screen.findByTestId(id)
const stepIs = (step: number) =>
  waitFor(() => expect(screen.getByTestId('wizard').dataset.step).toBe(String(step)))

/** Discovers everything and opens the wizard for all unconfigured appliances. */
async function start(options: Parameters<typeof openAt>[1] = {}) {
  const site = open('/', { appliances: 5, heard: true, ...options })
  await waitFor(() => expect(screen.getByTestId('count-all').textContent).toBe('5'))
  await site.user.click(screen.getByTestId('configure'))
  await stepIs(0)
  return site
}

test('the main job: choose, plan, check, review, apply, summary', async () => {
  const { user } = await start()
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  await user.click(await byId('wizard-next'))
  await stepIs(2)
  await waitFor(() => expect(screen.getByTestId('findings').textContent).toContain('Nothing is wrong'))
  await user.click(await byId('wizard-next'))
  await stepIs(3)
  expect((await byId('review')).textContent).toContain('5 appliances get their first settings')
  await user.click(await byId('wizard-apply'))
  await byId('wizard-progress')
  expect((await screen.findByTestId('summary-configured', {})).textContent).toBe('5')
  expect(screen.getByTestId('summary-failed').textContent).toBe('0')
  await waitFor(() => expect(screen.getByTestId('live-region').textContent).toContain('5 configured'))
  await user.click(screen.getByTestId('wizard-done'))
  await waitFor(() => expect(screen.getByTestId('count-configured').textContent).toBe('5'))
})

test('failures are told by reason and remedy, can be retried, and the list saved', async () => {
  const { backend, user } = await start()
  await backend.setKnobs({ install_ms: 500, fail_percent: 100, loss_percent: 0, silent: [] })
  for (const step of [1, 2, 3]) {
    await waitFor(() => expect(screen.getByTestId('wizard-next').hasAttribute('data-loading')).toBe(false))
    await user.click(await byId('wizard-next'))
    await stepIs(step)
  }
  await user.click(await byId('wizard-apply'))
  expect((await screen.findByTestId('summary-failed', {})).textContent).toBe('5')
  const failures = await byId('failures')
  expect(failures.textContent).toContain('kept what it had')
  expect(failures.textContent).toContain('choose another address')
  await user.click(screen.getByTestId('job-export'))
  await screen.findByText(/muster-job-1\.csv/)
  await backend.setKnobs({ install_ms: 500, fail_percent: 0, loss_percent: 0, silent: [] })
  await user.click(screen.getByTestId('job-retry'))
  await waitFor(() => expect(screen.getByTestId('summary-configured').textContent).toBe('5'))
})

test('a job can be left and found again, and what has not begun can be cancelled', async () => {
  const { backend, user, router } = await start({ appliances: 5, speed: 1 })
  await backend.setKnobs({ install_ms: 20_000, fail_percent: 0, loss_percent: 0, silent: [] })
  for (const step of [1, 2, 3]) {
    await waitFor(() => expect(screen.getByTestId('wizard-next').hasAttribute('data-loading')).toBe(false))
    await user.click(await byId('wizard-next'))
    await stepIs(step)
  }
  await user.click(await byId('wizard-apply'))
  await byId('job-cancel')
  await router.navigate('/')
  await waitFor(() => expect(screen.getByTestId('jobs').dataset.running).toBe('true'))
  await user.click(screen.getByTestId('jobs'))
  await user.click(await screen.findByText(/^Job 1/))
  await user.click(await byId('job-cancel'))
  await waitFor(() => expect(screen.getByTestId('wizard-progress').textContent).toContain('cancelled'))
})

test('unclaimed appliances are left out until their codes are given; a list fills them in', async () => {
  const { user } = await start({ unclaimed: 1 })
  const panel = await byId('label-codes')
  const [first, second] = within(panel).getAllByRole('textbox') as [HTMLElement, HTMLElement]
  await user.type(first, 'WXYZ-2345-ABCD-EFGH{Enter}')
  expect(document.activeElement).toBe(second)
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  expect((await byId('needs-codes')).textContent).toContain('4 appliances are left out')
  const field = within(await byId('label-codes')).getAllByRole('textbox')[0] as HTMLElement
  await user.click(field)
  await user.paste('AAAA-2345-ABCD-EFGH\nBBBB-2345-ABCD-EFGH\nCCCC-2345-ABCD-EFGH\nDDDD-2345-ABCD-EFGH')
  await user.click(await byId('plan-again'))
  await waitFor(() => expect(screen.queryByTestId('needs-codes')).toBeNull())
  expect(screen.getByRole('heading', { level: 1 }).textContent).toContain('Configure 5 appliances')
})

test('appliances without a voucher are left out, and the words say who can give it', async () => {
  const { user } = await start({ unclaimed: 0, unvouched: 1 })
  expect((await byId('needs-vouchers')).textContent).toContain('5 appliances are left out')
  expect(screen.queryByTestId('label-codes')).toBeNull()
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  const notice = (await byId('needs-vouchers')).textContent
  expect(notice).toContain('Give the vendor the key of this NOC’s root')
  expect(notice).toContain('no voucher for it was imported')
  expect(screen.queryByTestId('label-codes')).toBeNull()
})

test('appliances that ask for less proof of ownership than is required are left out, with the rule and what to do', async () => {
  const { backend, user } = await start({ unclaimed: 0 })
  const plan = backend.plan.bind(backend)
  const tooWeak = {
    code: 'proof_too_weak',
    message: 'this appliance takes whoever comes first, and the site’s policy (proof = claim) requires more',
    remedy: 'Have an administrator change `proof` in that policy.',
  }
  backend.plan = async (...args) => {
    const planned = await plan(...args)
    const refused = planned.rows.map((row, i) => (i < 2 ? { ...row, problem: tooWeak } : row))
    return { ...planned, rows: refused }
  }
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  const notice = (await byId('left-out')).textContent ?? ''
  expect(notice).toContain('2 appliances are left out')
  // Once for both, in whole sentences.
  for (const part of ['This appliance takes', 'requires more. Have an administrator', tooWeak.remedy])
    expect(notice.split(part)).toHaveLength(2)
  await user.click(await byId('wizard-next'))
  await stepIs(2)
  await user.click(await byId('wizard-next'))
  await stepIs(3)
  expect((await byId('review')).textContent).toContain('3 appliances get their first settings')
})

test('findings of the NOC stop the wizard at their cell', async () => {
  const { backend, user } = await start()
  const [uid = ''] = backend.uids()
  backend.check = async () => [
    { uid, field: 'address', code: 'taken_address', message: 'The NOC gave this address to mail-77.' },
  ]
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  await user.click(await byId('wizard-next'))
  await stepIs(2)
  await waitFor(() => expect(screen.getByTestId('findings').textContent).toContain('mail-77'))
  expect(screen.getByTestId('wizard-next').hasAttribute('disabled')).toBe(true)
})

test('a NOC that does not answer leaves the wizard where it is, with everything kept', async () => {
  const { backend, user, router } = await start()
  const plan = backend.plan.bind(backend)
  backend.plan = refuse
  await user.click(await byId('wizard-next'))
  expect((await byId('problem')).textContent).toContain(REFUSED.remedy)
  await stepIs(0)
  backend.plan = plan
  await user.click(await byId('wizard-next'))
  await stepIs(1)
  await router.navigate('/')
  await user.click(within(await byId('draft')).getByText('Continue'))
  await stepIs(1)
})

test('nothing chosen and unknown jobs are not dead ends', async () => {
  const { router } = open('/configure')
  expect((await byId('empty')).textContent).toContain('No appliances chosen')
  await router.navigate('/jobs/99')
  await waitFor(() => expect(screen.getByTestId('empty').textContent).toContain('There is no job 99'))
})
