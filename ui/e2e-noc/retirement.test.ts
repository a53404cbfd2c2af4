// An appliance is replaced, released and decommissioned in Chromium, against the real programs.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { examine } from './examine.ts'
import { type Visitor, World } from './world.ts'

let world: World
before(async () => {
  world = await World.open()
})
after(() => world.close())

/** Has the console configure an appliance by the site's policy. */
async function configure(page: Page, mac: string): Promise<void> {
  await page.goto('/consoles/1')
  await page.getByTestId('order').selectOption('config')
  await page.getByTestId('mac').fill(mac)
  await page.getByTestId('send').click()
  const message = page.getByTestId('message').filter({ hasText: mac }).first()
  await message.filter({ hasText: 'Done' }).waitFor({ timeout: 90_000 })
}

/** Goes to the page of the only appliance that a text finds. */
async function show({ page }: Visitor, text: string): Promise<void> {
  await page.goto(`/?text=${encodeURIComponent(text)}`)
  await page.getByText('1 appliance', { exact: true }).waitFor()
  await page.getByTestId('fleet').getByRole('link').first().click()
  await page.getByTestId('appliance-page').waitFor()
}

const fact = ({ page }: Visitor, name: string) =>
  page
    .locator(`dt:text-is("${name}") + dd`)
    .first()
    .textContent()
    .then((text) => text ?? '')

async function confirm({ page }: Visitor, word: string): Promise<void> {
  assert.equal(await page.getByTestId('confirmed-go').isDisabled(), true)
  await page.getByTestId('confirmed-word').fill(`${word}x`)
  assert.equal(await page.getByTestId('confirmed-go').isDisabled(), true, 'not quite')
  await page.getByTestId('confirmed-word').fill(word)
  await page.getByTestId('confirmed-go').click()
  await page.getByTestId('confirmed').waitFor({ state: 'detached' })
}

test('a dead appliance is replaced and released, its heir gets what it had, and is decommissioned in the end', async () => {
  const [old, heir] = world.macs as [string, string]
  const root = await (await world.visitor()).signIn('root', '/consoles/1')
  await root.page.getByTestId('send').click()
  const refreshed = root.page.getByTestId('message').filter({ hasText: 'sendRefresh' })
  await refreshed.filter({ hasText: 'Done' }).waitFor({ timeout: 60_000 })
  await configure(root.page, old)

  await show(root, old)
  const place = new URL(root.page.url()).pathname
  const name = (await root.page.getByRole('heading', { level: 1 }).textContent()) ?? ''
  // Somebody else has the page open, and somebody of another organisation sees none of it.
  const second = await (await world.visitor('dark')).signIn('root', place)
  const anna = await (await world.visitor()).signIn('anna@acme', place)
  await anna.page.getByTestId('empty').waitFor()

  const { page } = root
  await page.getByTestId('replace').click()
  await page.getByTestId('heir-text').fill(heir)
  // The search leaves one of the three that are free.
  await page.getByTestId('heir').nth(1).waitFor({ state: 'detached' })
  assert.equal(await page.getByTestId('confirmed-go').isDisabled(), true)
  await page.getByRole('radio', { name: heir }).check()
  await examine(page, 'replacing')
  await confirm(root, await fact(root, 'Serial'))
  for (const { page } of [root, second]) {
    await page.getByTestId('replaced-by').waitFor({ timeout: 20_000 })
    await page.locator('header').getByText('Replaced', { exact: true }).waitFor()
    assert.equal(await page.getByTestId('replace').count(), 0)
  }
  await examine(page, 'replaced')
  await second.page.getByTestId('replaced-by').click()
  await second.page
    .getByTestId('takes-over')
    .filter({ hasText: name })
    .filter({ hasText: '10.99.0.10' })
    .waitFor()
  await examine(second.page, 'taking over')

  await configure(page, heir)
  // Without a reload: it has taken over, and nothing is left to take over.
  await second.page.getByRole('heading', { name, level: 1 }).waitFor({ timeout: 30_000 })
  await second.page.getByTestId('takes-over').waitFor({ state: 'detached' })
  assert.equal((await fact(second, 'MAC')).toUpperCase(), heir)
  assert.equal(await fact(second, 'IP'), '10.99.0.10')

  await show(root, old)
  await page.getByTestId('release').click()
  await confirm(root, await fact(root, 'Serial'))
  await page.locator('header').getByText('Unconfigured', { exact: true }).waitFor({ timeout: 20_000 })
  assert.equal(await page.getByTestId('release').count(), 0, 'it is of no site any more')

  await second.page.getByTestId('decommission').click()
  await examine(second.page, 'decommissioning')
  await confirm(second, await fact(second, 'Serial'))
  // Told with a beat, done by the appliance, and known without a reload.
  await second.page
    .locator('header')
    .getByText('Decommissioned', { exact: true })
    .waitFor({ timeout: 60_000 })
  for (const visitor of [root, second, anna]) assert.deepEqual(visitor.errors, [])
})
