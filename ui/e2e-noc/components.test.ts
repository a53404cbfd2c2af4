// What runs where, what is behind and how far a roll-out is, in the browser: with a NOC that really moves it on.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { examine } from './examine.ts'
import { World } from './world.ts'

let world: World
const folder = mkdtempSync(join(tmpdir(), 'muster-components-'))
before(async () => {
  world = await World.open()
  await settled()
  repository()
})
after(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Rows that only stand in the database: first the status daemon takes back what is said of them, then they are as if they beat. */
async function settled(): Promise<void> {
  for (let left = 1; left > 0; ) {
    await new Promise((done) => setTimeout(done, 250))
    world.database((db) => {
      const sql = "SELECT count(*) AS n FROM appliances WHERE organisation = 2 AND health <> 'not_expected'"
      left = db.prepare(sql).get()?.n as number
    })
  }
  world.database((db) =>
    db.exec(
      "UPDATE appliances SET applied = 1, health = iif(id % 10 = 0, 'silent', 'well') WHERE organisation = 2",
    ),
  )
}

/** A repository with two versions of a component, of which Acme's appliances say that they run the first. */
function repository(): void {
  const path = (name: string) => join(folder, name)
  writeFileSync(path('online.json'), world.noc('component', 'keys'))
  world.noc('component', 'root', 'new', '--online', path('online.json'), '--out', path('root'))
  const root = path('root/1.root.json')
  for (const key of [1, 2])
    world.noc('component', 'root', 'sign', '--key', path(`root/root-1-${key}.key`), root)
  world.noc('component', 'init', root)
  for (const version of ['1.0', '2.0']) {
    writeFileSync(path('filter'), `#!/bin/sh\n# ${version}\n`)
    const words = ['--name', 'mail-filter', '--version', version, '--kind', 'exec']
    world.noc('component', 'add', path('filter'), ...words)
  }
  require('1.0')
  world.database((db) => {
    const report = (state: string, problem?: string) =>
      JSON.stringify({
        uptime_s: 60,
        load: 0.1,
        memory_percent: 20,
        disk_percent: 30,
        disk_free: 9_000_000,
        agent: '1.0.0',
        components: [{ name: 'mail-filter', version: '1.0', state, running: '1.0', problem }],
      })
    db.prepare('UPDATE appliances SET beat = ? WHERE organisation = 2').run(report('installed'))
    const failed = report('failed', 'no space is left: 12 MiB are missing')
    db.prepare("UPDATE appliances SET beat = ? WHERE organisation = 2 AND serial = 'SN05001'").run(failed)
  })
}

function require(version: string, ...waves: string[]): void {
  world.noc('component', 'require', 'mail-filter', '--organisation', 'acme', '--version', version, ...waves)
}

/** Appliances of a wave say something, as with their beats. */
function say(wave: number, state: string, most = 1_000_000): void {
  world.database((db) => {
    const now = Math.floor(Date.now() / 1000)
    db.prepare(
      `UPDATE component_rollout_appliances SET state = ?, since = ?, why = iif(?1 = 'failed', 'unhealthy: it ended with 1', '')
       WHERE state = 'waiting' AND wave = ? AND appliance IN (SELECT appliance FROM component_rollout_appliances
       WHERE wave = ?3 AND state = 'waiting' LIMIT ?)`,
    ).run(state, now, wave - 1, most)
    db.exec('UPDATE component_rollouts SET heard = heard + 1')
    db.exec("UPDATE appliances SET revision = (SELECT revision FROM noc) WHERE serial = 'SN05001'")
  })
}

const at = (page: Page, id: string, text: RegExp) =>
  page.getByTestId(id).filter({ hasText: text }).first().waitFor()

test('a roll-out goes from wave to wave before the eyes of those who watch, halts, goes on and is taken back', async () => {
  const visitor = await world.visitor()
  const page = visitor.page
  await visitor.signIn('anna@acme')
  await page.getByTestId('nav-components').click()
  await at(page, 'required', /mail-filter.*1\.0.*Acme AG.*all at once/)
  await page.locator('[data-row]').first().waitFor()
  // One of ten thousand is behind, wherever it stands in the list.
  await page.getByTestId('behind').click()
  await at(page, 'standings', /no space is left/)
  assert.equal(await page.locator('[data-row]').count(), 1)
  await examine(page, 'components, behind')
  await page.getByTestId('behind').click()

  require('2.0', '--waves', '1%,10%,100%', '--soak', '2s', '--halt-at', '5%', '--within', '1h')
  await at(page, 'wave-1', /100%|\d+ waiting/)
  await at(page, 'wave-2', /not begun/)
  await examine(page, 'components, rolling out')
  say(1, 'well')
  await at(page, 'wave-1', /\d+ well/)
  await at(page, 'wave-2', /\d+ waiting/)
  say(2, 'failed', 100)
  await at(page, 'rollout-why', /100 of \d+ appliances of wave 2 failed; at most 5% may/)
  await at(page, 'rollout-failures', /unhealthy: it ended with 1/)
  await examine(page, 'components, halted')

  await page.getByTestId('rollout-continue').click()
  await at(page, 'wave-2', /100 failed and passed over/)
  await page.getByTestId('rollout-halt').click()
  await at(page, 'rollout-why', /somebody halted it/)
  await page.getByTestId('rollout-continue').click()
  await page.getByTestId('rollout-halt').waitFor()
  await page.getByTestId('rollout-back').click()
  await page.getByText(/appliances go back to what they had/).waitFor()
  await examine(page, 'components, taking back')
  await page.getByTestId('back-yes').click()
  await page.getByText('Taken back').first().waitFor()
  await at(page, 'required', /mail-filter.*1\.0.*Acme AG/)
  assert.equal(await page.getByTestId('rollout-halt').count(), 0)
  assert.deepEqual(visitor.errors, [], 'nothing against the content policy, nothing thrown')
  await visitor.context.close()
})

test('in the dark, for those who only see, and for one site', async () => {
  require('2.0', '--waves', '2,50%,100%')
  const visitor = await world.visitor('dark')
  const page = visitor.page
  await visitor.signIn('vera@acme', '/components')
  await at(page, 'wave-1', /2 waiting|1 waiting|2 silent before/)
  assert.equal(await page.getByTestId('rollout-halt').count(), 0)
  await examine(page, 'components, dark')
  await page.getByTestId('site').selectOption({ label: 'Bern' })
  await page.locator('[data-row]').first().waitFor()
  await at(page, 'wave-1', /Wave 1, to 2/)
  await page.setViewportSize({ width: 420, height: 900 })
  await examine(page, 'components, narrow')
  assert.deepEqual(visitor.errors, [])
  await visitor.context.close()
})
