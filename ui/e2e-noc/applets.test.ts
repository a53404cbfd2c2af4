// The library of applets in the browser, with applets that the vendor's own commands make: published, released in parts, withdrawn.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { examine } from './examine.ts'
import { World } from './world.ts'

let world: World
const vendor = mkdtempSync(join(tmpdir(), 'muster-vendor-'))
let key = ''
before(async () => {
  world = await World.open()
  world.muster('applet', 'new', join(vendor, 'plant'))
  key = JSON.parse(world.muster('--json', 'applet', 'key', join(vendor, 'key'))).public
})
after(async () => {
  await world.close()
  rmSync(vendor, { recursive: true, force: true })
})

/** A signed version of the vendor's applet. */
function signed(version: string): string {
  const manifest = join(vendor, 'plant/applet.json')
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), version }))
  const file = join(vendor, `plant-${version}.applet`)
  world.muster('applet', 'sign', join(vendor, 'plant'), '--key', join(vendor, 'key'), '--out', file)
  return file
}

async function as(
  login: string,
  scheme: 'light' | 'dark',
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const visitor = await world.visitor(scheme)
  try {
    await visitor.signIn(login, '/applets')
    await work(visitor.page)
    // A refusal is told in the page, and by the browser besides.
    const others = visitor.errors.filter((error) => !/status of 409/.test(error))
    assert.deepEqual(others, [], 'nothing against the content policy, nothing thrown')
  } finally {
    await visitor.context.close()
  }
}

test('an administrator takes a vendor, publishes, releases to a part, makes it the lowest, withdraws', async () => {
  const [first, second] = [signed('1.0.0'), signed('1.1.0')]
  await as('anna@acme', 'light', async (page) => {
    await page.getByTestId('empty').waitFor()
    await examine(page, 'applets, none')

    // Nobody's applets are taken yet.
    await page.getByTestId('applet-file').setInputFiles(first)
    await page.locator('[data-testid=problem][data-code=applet_author_unknown]').waitFor()
    await page.getByTestId('author-name').fill('Plant & Söhne')
    await page.getByTestId('author-key').fill('nonsense')
    await page.getByTestId('author-add').click()
    await page.locator('.mantine-InputWrapper-error').waitFor()
    await page.getByTestId('author-key').fill(key)
    await page.getByTestId('author-add').click()
    await page.getByTestId('applet-authors').getByText(key).waitFor()

    await page.getByTestId('applet-publish-channel').selectOption('stable')
    await page.getByTestId('applet-file').setInputFiles(first)
    await page.getByTestId('channel-stable').filter({ hasText: '1.0.0' }).waitFor()
    // What is no applet, and what is one and was changed.
    const broken = join(vendor, 'broken.applet')
    const bytes = readFileSync(second)
    writeFileSync(broken, bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 8))
    await page.getByTestId('applet-file').setInputFiles(broken)
    await page.locator('[data-testid=problem][data-code=applet_faulty]').waitFor()

    await page.getByTestId('applet-publish-channel').selectOption('test')
    await page.getByTestId('applet-file').setInputFiles(second)
    await page.getByTestId('channel-test').filter({ hasText: '1.1.0' }).waitFor()
    assert.equal(await page.getByTestId('channel-stable').textContent(), '1.0.0')
    await page.getByTestId('release-1.1.0').click()
    await page.getByTestId('release-percent').fill('25')
    await examine(page, 'applets, releasing')
    await page.getByTestId('release-go').click()
    const part = '1.1.0 for 25 % of the consoles, 1.0.0 for the others'
    await page.getByTestId('channel-stable').filter({ hasText: part }).waitFor()

    await page.getByTestId('floor-1.1.0').click()
    await page.getByTestId('floor-sure-1.1.0').click()
    await page.getByTestId('applet-plant').getByText('Lowest version').waitFor()
    await page.getByTestId('withdraw-1.0.0').click()
    await page.getByTestId('withdraw-sure-1.0.0').click()
    await page.getByTestId('version-plant-1.0.0').filter({ hasText: 'Withdrawn' }).waitFor()
  })
  // As the command line has it, too.
  const [library] = JSON.parse(world.noc('applet', 'list', '--organisation', 'acme', '--json'))
  assert.equal(library.floor, '1.1.0')
  assert.deepEqual(
    library.channels.map((one: { channel: string; percent: number }) => [one.channel, one.percent]),
    [
      ['stable', 25],
      ['test', 100],
    ],
  )
  assert.ok(library.versions.find((one: { version: string }) => one.version === '1.0.0').withdrawn)
})

test('who may only look sees it all and has nothing to press; and it changes by itself', async () => {
  await as('vera@acme', 'dark', async (page) => {
    await page.getByTestId('applet-plant').waitFor()
    for (const id of ['applet-file', 'release-1.1.0', 'withdraw-1.1.0', 'author-form'])
      assert.equal(await page.getByTestId(id).count(), 0, id)
    await examine(page, 'applets, not to change')
    world.noc('applet', 'release', 'plant', '1.1.0', '--channel', 'stable', '--organisation', 'acme')
    await page.waitForFunction(
      () => document.querySelector('[data-testid=channel-stable]')?.textContent === '1.1.0',
    )
  })
})
