// What appliances get, said in the browser: organisations, sites, models, reservations, and what it would mean before it is done.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { World } from './world.ts'

let world: World
before(async () => {
  world = await World.open()
})
after(() => world.close())

async function as(login: string, path: string, work: (page: Page) => Promise<void>): Promise<void> {
  const visitor = await world.visitor()
  try {
    await visitor.signIn(login, path)
    await work(visitor.page)
    assert.deepEqual(visitor.errors, [], 'nothing against the content policy, nothing thrown')
  } finally {
    await visitor.context.close()
  }
}

test('an organisation speaks for its sites, a site for a model, and each value names who said it', async () => {
  await as('anna@acme', '/organisations/2', async (page) => {
    await page.getByTestId('said-say-dns1').check()
    await page.getByTestId('said-dns1').fill('10.1.0.53')
    await page.getByTestId('said-say-proof').check()
    await page.getByTestId('said-proof').selectOption('claim')
    await page.getByTestId('profile-model').fill('Mail')
    await page.getByTestId('profile-add').click()
    await page.getByTestId('profile-0-say-beat_interval_s').check()
    await page.getByTestId('profile-0-beat_interval_s').fill('soon')
    await page.getByTestId('organisation-save').click()
    await page.getByTestId('faults').filter({ hasText: 'profile Mail' }).waitFor()
    await page.getByTestId('profile-0-beat_interval_s').fill('30')
    await page.getByTestId('organisation-save').click()
    await page.getByTestId('organisation-saved').waitFor()

    await page.goto('/sites/2')
    await page.getByTestId('inherit-dns1').check()
    await page.getByTestId('inherit-beat_interval_s').check()
    await page.getByTestId('inherit-proof').check()
    await page.getByTestId('site-try').click()
    await page.getByTestId('preview-row').first().filter({ hasText: 'organisation dns1' }).waitFor()
    await page.getByTestId('site-save').click()
    await page.getByTestId('site-saved').waitFor()

    await page.getByTestId('tab-models').click()
    await page.getByTestId('profile-model').fill('Mail')
    await page.getByTestId('profile-add').click()
    await page.getByTestId('profile-0-say-host_name').check()
    await page.getByTestId('profile-0-host_name').fill('post-{n}')
    await page.getByTestId('models-try').click()
    await page.getByTestId('preview-row').first().filter({ hasText: 'post-' }).waitFor()
    await page.getByTestId('models-save').click()
    await page.getByTestId('models-saved').waitFor()

    await page.getByTestId('tab-result').click()
    await page.getByTestId('effective-model').selectOption('mail')
    const said = (value: string, by: string) =>
      page
        .getByTestId('effective')
        .getByRole('row')
        .filter({ hasText: value })
        .filter({ hasText: by })
        .waitFor()
    await said('post-{n}', 'the site, for Mail')
    await said('30', 'the organisation, for Mail')
    await said('10.1.0.53', 'the organisation')
    await said('the code of the label', 'the organisation')
    await page.getByTestId('preview-row').first().waitFor()
  })
  assert.match(world.noc('policy', 'show', '--site', 'Bern'), /post-\{n\}/)
})

test('what is reserved comes and goes, by hand and as a file, whole or not at all', async () => {
  await as('anna@acme', '/sites/3/reservations', async (page) => {
    await page.getByTestId('reservation-add').click()
    await page.getByTestId('reservation-serial').fill('SN-1')
    await page.getByTestId('reservation-address').fill('198.51.100.1')
    await page.getByTestId('reservation-save').click()
    await page.getByText('cannot be an appliance').waitFor()
    await page.getByTestId('reservation-address').fill('10.1.0.7')
    await page.getByTestId('reservation-save').click()
    const one = page.getByTestId('reservation').filter({ hasText: 'SN-1' })
    await one.filter({ hasText: '10.1.0.7' }).waitFor()

    await one.getByTestId('reservation-edit').click()
    await page.getByTestId('reservation-host_name').fill('gate')
    await page.getByTestId('reservation-save').click()
    await one.filter({ hasText: 'gate' }).waitFor()

    const text = page.getByTestId('reservations-import-text')
    await text.fill('serial,address\nSN-2,10.1.0.8\nSN-3,10.1.0.7\n')
    await page.getByTestId('reservations-import-go').click()
    await page.getByTestId('faults').getByText('Line 3: 10.1.0.7 is reserved already').waitFor()
    assert.equal(await page.getByTestId('reservation').count(), 1, 'nothing of what was refused is there')
    assert.match(await text.inputValue(), /SN-3/, 'and nothing of it is lost')
    const name = 'reservations.csv'
    const buffer = Buffer.from('serial,address\nSN-2,10.1.0.8\nSN-3,10.1.0.9\n')
    const chooser = page.waitForEvent('filechooser')
    await page.getByTestId('reservations-import-file').click()
    await (await chooser).setFiles({ name, mimeType: 'text/csv', buffer })
    await page.getByTestId('reservations-import-go').click()
    await page.getByText('2 added, 0 replaced, 0 as they were.').waitFor()
    await page.getByTestId('reservation').nth(2).waitFor()

    const download = page.waitForEvent('download')
    await page.getByTestId('reservations-export').click()
    const saved = readFileSync(await (await download).path(), 'utf8')
    assert.match(saved, /SN-1,10\.1\.0\.7,,gate/)
    assert.equal(saved.trim().split('\n').length, 4)

    await one.getByTestId('reservation-remove').click()
    await page.getByTestId('reservation-remove-sure').click()
    await one.waitFor({ state: 'detached' })
  })
  const done = world.noc('audit', 'search', '--action', 'reservation.')
  for (const action of ['add', 'change', 'remove']) assert.match(done, new RegExp(`reservation\\.${action}`))
})

test('a table of sites is taken in, or says which line is wrong', async () => {
  await as('anna@acme', '/organisations/2', async (page) => {
    const text = page.getByTestId('sites-import-text')
    await text.fill('name,pool,netmask,domain\nChur,192.0.2.10,/24,acme.example\nDavos,x,/24,acme.example\n')
    await page.getByTestId('sites-import-go').click()
    await page.getByTestId('faults').getByText('Line 3').waitFor()
    await text.fill((await text.inputValue()).replace(',x,', ',192.0.2.20,'))
    await page.getByTestId('sites-import-go').click()
    await page.getByText('2 added, 0 changed, 0 as they were.').waitFor()
    await page.getByTestId('nav-sites').click()
    await page.getByTestId('sites').getByText('Davos', { exact: true }).waitFor()
  })
})
