import { screen, waitFor, within } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import { exampleApplet } from '../backend/fakeApplets.ts'
import { openAt, REFUSED } from './testing.tsx'

let opened: ReturnType<typeof openAt> | undefined
afterEach(() => opened?.close())
const byId = (id: string) => screen.findByTestId(id)

/** The folder of an example; its own page needs a real browser. */
async function preview() {
  opened = openAt('/', { preview: 'mail-gateway' })
  opened.backend.vendor.folder = { applet: { ...exampleApplet('mail-gateway'), hasPage: false } }
  await byId('applet-form')
  return opened
}

test('a vendor sees the form of a folder, what is wrong with what is filled in, and what an appliance would get', async () => {
  const { user } = await preview()
  const page = await byId('applet-preview')
  expect(page.textContent).toContain('examples/applets/mail-gateway')
  expect(await within(page).findAllByText(/It is missing/)).not.toHaveLength(0)
  await user.click(await byId('applet-templates'))
  await user.click(await screen.findByText('Small office'))
  await user.type(within(page).getByLabelText(/^Licence key/), 'ABCDE-12345-FGHIJ-67890')
  const document = await byId('application-document')
  expect(document.textContent).toContain('largest_mail_mib')
  // A secret is asked for before it is shown.
  expect(document.textContent).not.toContain('ABCDE-12345')
  await user.click(within(page).getByText('Show secrets'))
  expect(document.textContent).toContain('ABCDE-12345-FGHIJ-67890')
})

test('a file that changes is drawn anew, and what was filled in stays; what is wrong with the folder is told', async () => {
  const { backend, user } = await preview()
  const page = await byId('applet-preview')
  await user.type(within(page).getByLabelText(/^Licence key/), 'ABCDE')
  const changed = { ...exampleApplet('mail-gateway'), title: 'Mail gateway of tomorrow', hasPage: false }
  backend.vendor.folder = { applet: changed, revision: '2' }
  await within(page).findByText('Mail gateway of tomorrow', {}, { timeout: 3_000 })
  expect((within(page).getByLabelText(/^Licence key/) as HTMLInputElement).value).toBe('ABCDE')
  expect(page.dataset.revision).toBe('2')

  backend.vendor.folder = { applet: null, problem: REFUSED, revision: '' }
  await waitFor(() => expect(screen.getByTestId('preview-faults').textContent).toContain(REFUSED.message), {
    timeout: 3_000,
  })
  expect(screen.queryByTestId('applet-form')).toBeNull()
})

test('it is read in each of its languages, and left for the app', async () => {
  opened = openAt('/', { preview: 'branch-router' })
  const { user } = opened
  const page = await byId('applet-preview')
  await byId('applet-form')
  await user.click(within(page).getByRole('combobox', { name: /Language/ }))
  await user.click(await screen.findByRole('option', { name: 'German', hidden: true }))
  await waitFor(() => expect(page.textContent).toContain('Filialrouter'), { timeout: 3_000 })
  await user.click(screen.getByTestId('preview-leave'))
  expect(await byId('count-all')).toBeTruthy()
})
