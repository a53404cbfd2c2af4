// The NOC's face in Chromium against the real programs: what people do all day, and what others try.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { ask, LONG, PASSWORD, REAL, ROWS, type Visitor, World } from './world.ts'

let world: World
before(async () => {
  world = await World.open()
})
after(() => world.close())

/** What somebody does, in a browser of their own; their pages must not have complained. */
async function as(login: string, path: string, work: (visitor: Visitor) => Promise<void>): Promise<void> {
  const visitor = await world.visitor()
  try {
    await visitor.signIn(login, path)
    await work(visitor)
    assert.deepEqual(visitor.errors, [], 'nothing against the content policy, nothing thrown')
  } finally {
    await visitor.context.close()
  }
}

test('a wrong password is refused, a good one leaves no secret that a script could read', async () => {
  const { page, context, errors } = await world.visitor()
  const answer = await page.goto('/alerts')
  const policy = answer?.headers()['content-security-policy'] ?? ''
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /)
  await page.getByTestId('login').fill('root')
  await page.getByTestId('password').fill('wrong horse battery')
  await page.getByTestId('sign-in-submit').click()
  await page.locator('[data-testid=problem][data-code=sign_in_refused]').waitFor()
  await page.getByTestId('password').fill(PASSWORD)
  await page.getByTestId('sign-in-submit').click()
  await page.getByRole('heading', { name: 'Alerts', level: 1 }).waitFor()
  const [cookie] = await context.cookies()
  assert.equal(cookie?.name, '__Host-muster-session')
  assert.deepEqual([cookie?.httpOnly, cookie?.secure, cookie?.sameSite], [true, true, 'Strict'])
  const readable = await page.evaluate(
    () => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }),
  )
  assert.ok(!readable.includes('muster_session_'), readable)
  await page.getByTestId('sign-out').click()
  await page.getByTestId('sign-in').waitFor()
  assert.deepEqual(await context.cookies(), [])
  assert.deepEqual(errors, [])
})

test('from a browser, a site whose console stands unattended is discovered and configured, and shows it live', async () => {
  await as('root', '/consoles', async ({ page }) => {
    await page.getByTestId('consoles').getByRole('link').first().click()
    await page.getByTestId('send').click()
    const message = page.getByTestId('message')
    await message.filter({ hasText: 'sendRefresh' }).filter({ hasText: 'Done' }).waitFor({ timeout: 60_000 })
    for (const mac of world.macs) {
      await page.getByTestId('order').selectOption('config')
      await page.getByTestId('mac').fill(mac)
      await page.getByTestId('send').click()
      await message.filter({ hasText: mac }).filter({ hasText: 'Done' }).waitFor({ timeout: 90_000 })
    }
    await page.getByTestId('order').selectOption('list')
    await page.getByTestId('send').click()
    await message
      .filter({ hasText: 'getList' })
      .filter({ hasText: world.macs[0] as string })
      .waitFor({ timeout: 30_000 })
    await page.getByTestId('nav-appliances').click()
    await page.getByTestId('filter-site').selectOption({ label: 'Practice' })
    const rows = page.getByTestId('fleet').getByRole('row').filter({ hasText: 'Configured' })
    await page.waitForFunction(
      (wanted) =>
        document.querySelectorAll('[data-testid=fleet] [data-row] .badge-good').length >= 2 * wanted,
      REAL,
      { timeout: 60_000 },
    )
    assert.equal(await rows.count(), REAL)
    await rows.first().getByRole('link').click()
    await page.getByTestId('beat-charts').waitFor({ timeout: 30_000 })
  })
})

test('a draft is reviewed as one difference, applied, taken by the appliances, and undone by version', async () => {
  await as('root', '/drafts', async ({ page }) => {
    await page.getByTestId('draft-add').click()
    await page.getByRole('checkbox', { name: 'Practice' }).check()
    await page.getByTestId('draft-title').fill('another domain')
    await page.getByTestId('draft-kind').selectOption('edit')
    await page.getByTestId('draft-domain').fill('new.example')
    await page.getByTestId('draft-make').click()
    const line = page.getByTestId('difference').getByRole('row').nth(1)
    await line.filter({ hasText: 'practice.example' }).filter({ hasText: 'new.example' }).waitFor()
    await page
      .getByTestId('draft-standing')
      .filter({ hasText: `${REAL} Would change` })
      .waitFor()
    await page.getByTestId('draft-apply').click()
    // Each takes it with the answer to a beat, and beats under it.
    await page
      .getByTestId('draft-standing')
      .filter({ hasText: `${REAL} In force` })
      .waitFor({ timeout: 60_000 })
    await page.getByTestId('draft-rows').getByRole('link').first().click()
    const newest = page.getByTestId('version').first()
    await newest.filter({ hasText: 'another domain' }).filter({ hasText: 'In force' }).waitFor()
    await page.getByTestId('back-1').click()
    await page.getByTestId('back-why').fill('too early')
    await page.getByTestId('back-go').click()
    await newest
      .filter({ hasText: 'back to version 1: too early' })
      .filter({ hasText: 'In force' })
      .waitFor({ timeout: 60_000 })
    await page.getByText('practice.example').first().waitFor()
  })
})

test('one appliance is given other settings from its page, tells its log, and what waits is taken back', async () => {
  await as('root', '/?text=10.99.0.10', async ({ page }) => {
    await page.getByText('1 appliance', { exact: true }).waitFor()
    await page.getByTestId('fleet').getByRole('link').first().click()
    await page.getByTestId('settings-change').click()
    await page.getByTestId('setting-address').fill('10.99.0')
    await page.getByTestId('settings-give').click()
    await page
      .locator('.mantine-InputWrapper-root:has([data-testid=setting-address]) .mantine-InputWrapper-error')
      .waitFor()
    await page.getByTestId('setting-address').fill('10.99.0.10')
    await page.getByTestId('setting-dns2').fill('10.99.0.3')
    await page.getByTestId('setting-why').fill('a second name server')
    await page.getByTestId('settings-give').click()
    await page
      .getByTestId('version')
      .first()
      .filter({ hasText: 'a second name server' })
      .filter({ hasText: 'In force' })
      .waitFor({ timeout: 60_000 })
    await page.getByText('10.99.0.3').waitFor()

    await page.getByTestId('tell-send_log').click()
    const told = page.getByTestId('instruction').filter({ hasText: 'Send its log' })
    await told.filter({ hasText: 'Accepted' }).waitFor({ timeout: 30_000 })
    await page.getByTestId('log-show').click()
    await page.getByTestId('log').filter({ hasText: /./ }).waitFor()

    await page.getByTestId('tell-reboot').click()
    await page.getByTestId('tell-sure').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    assert.equal(await page.getByTestId('instruction').count(), 1, 'nobody was sure')
  })
})

test('a manifest is taken in, or each line that is wrong is named', async () => {
  await as('anna@acme', '/', async ({ page }) => {
    await page.getByTestId('manifest-import').click()
    const header = 'serial,mac,uid,claim,model'
    const good = `${header}\nSN-E2E,${world.macs[0]},${'A'.repeat(4)},x,Mail\n`
    await page.getByTestId('manifest-text').fill(good)
    await page.getByTestId('manifest-go').click()
    const faults = page.getByTestId('faults')
    await faults.filter({ hasText: 'Line 2' }).waitFor()
    // What another organisation has is not taken, and its line is named.
    const theirs = readFileSync(world.manifest, 'utf8').split('\n').slice(0, 2).join('\n')
    await page.getByTestId('manifest-text').fill(theirs)
    await page.getByTestId('manifest-go').click()
    await faults.filter({ hasText: 'belongs to another organisation' }).waitFor()
    assert.equal(await page.getByTestId('manifest-text').inputValue(), theirs)
  })
  await as('root', '/inventory', async ({ page }) => {
    const chooser = page.waitForEvent('filechooser')
    await page.getByTestId('manifest-file').click()
    await (await chooser).setFiles(world.manifest)
    await page.getByTestId('manifest-go').click()
    await page.getByText(`0 added, 0 updated, ${REAL} as they were.`).waitFor()
  })
})

test('an order that cannot be carried out says why', async () => {
  await as('root', '/consoles/1', async ({ page }) => {
    await page.getByTestId('order').selectOption('kick')
    await page.getByTestId('mac').fill('nonsense')
    await page.getByTestId('send').click()
    await page.getByText('The MAC address does not read.').waitFor()
    await page.getByTestId('mac').fill('02:00:00:00:00:99')
    await page.getByTestId('send').click()
    await page
      .getByTestId('message')
      .filter({ hasText: '02:00:00:00:00:99' })
      .filter({ hasText: 'Failed' })
      .waitFor()
  })
})

test('what the command line changes is on the page without a reload', async () => {
  await as('root', '/sites', async ({ page }) => {
    await page.getByTestId('sites').getByText('Practice').waitFor()
    await page.evaluate(() => Object.assign(window, { isSamePage: true }))
    const begun = Date.now()
    world.noc(
      'site',
      'add',
      '--name',
      'Chur',
      '--pool',
      '192.0.2.10-192.0.2.99',
      '--netmask',
      '/24',
      '--domain',
      'chur.example',
    )
    await page.getByTestId('sites').getByText('Chur', { exact: true }).waitFor()
    process.stdout.write(`shown ${Date.now() - begun} ms after the command began\n`)
    assert.equal(await page.evaluate(() => 'isSamePage' in window), true)
  })
})

test('a policy that does not fit says so at each value, and a conflict leaves the choice', async () => {
  await as('root', '/sites/new', async ({ page }) => {
    await page.getByTestId('field-name').fill('Davos')
    await page.getByTestId('field-pool').fill('192.0.2.200-192.0.2.100')
    await page.getByTestId('field-window_s').fill('1')
    await page.getByTestId('site-save').click()
    for (const name of ['pool', 'window_s', 'domain'])
      await page
        .locator(`.mantine-InputWrapper-root:has([data-testid=field-${name}]) .mantine-InputWrapper-error`)
        .waitFor()
    await page.getByTestId('field-pool').fill('192.0.2.100-192.0.2.200')
    await page.getByTestId('field-domain').fill('davos.example')
    await page.getByTestId('field-window_s').fill('90')
    await page.getByTestId('site-save').click()
    await page.getByRole('heading', { name: 'Davos', level: 1 }).waitFor()

    // Somebody else changes it while this is being typed.
    await page.getByTestId('field-dns1').fill('192.0.2.53')
    const other = await world.visitor()
    await other.signIn('root', new URL(page.url()).pathname)
    await other.page.getByTestId('field-gateway').fill('192.0.2.1')
    await other.page.getByTestId('site-save').click()
    await other.page.getByTestId('site-saved').waitFor()
    await page.getByTestId('conflict').waitFor()
    assert.equal(
      await page.getByTestId('field-dns1').inputValue(),
      '192.0.2.53',
      'what was typed is still there',
    )
    await page.getByTestId('conflict-theirs').click()
    assert.equal(await page.getByTestId('field-gateway').inputValue(), '192.0.2.1')
    assert.equal(await page.getByTestId('field-dns1').inputValue(), '')
    await page.getByTestId('field-dns1').fill('192.0.2.53')
    await page.getByTestId('site-save').click()
    await page.getByTestId('site-saved').waitFor()
    assert.deepEqual(other.errors, [])
    await other.context.close()
  })
})

test('an alert is acknowledged with a note, and others see it at once', async () => {
  world.database((db) => {
    const site = db.prepare("SELECT id FROM sites WHERE name = 'Bern'").get()?.id as number
    db.prepare(
      "INSERT INTO alerts (id, site, kind, opened, revision) VALUES (900, ?, 'silent', 1, (SELECT revision FROM noc))",
    ).run(site)
  })
  const vera = await (await world.visitor()).signIn('vera@acme', '/alerts')
  await vera.page.getByTestId('alert-900').waitFor()
  assert.equal(await vera.page.getByTestId('acknowledge-900').count(), 0, 'a viewer sees')
  await as('anna@acme', '/alerts', async ({ page }) => {
    await page.getByTestId('acknowledge-900').click()
    await page.getByTestId('note').fill('on my way')
    await page.getByTestId('note-save').click()
    await page.getByTestId('acknowledged-900').waitFor()
  })
  await vera.page
    .getByTestId('acknowledged-900')
    .filter({ hasText: 'anna@acme' })
    .filter({ hasText: 'on my way' })
    .waitFor()
  assert.deepEqual(vera.errors, [])
  await vera.context.close()
})

test('an alert is silenced and its history told; a channel is added, tested and taken away', async () => {
  world.database((db) => {
    const site = db.prepare("SELECT id FROM sites WHERE name = 'Bern'").get()?.id as number
    db.prepare(
      "INSERT INTO alerts (id, site, kind, opened, revision) VALUES (910, ?, 'silent', 1, (SELECT revision FROM noc))",
    ).run(site)
  })
  const heard: { id: string; body: string }[] = []
  const receiver = createServer((request, answer) => {
    let body = ''
    request.on('data', (part) => {
      body += part
    })
    request.on('end', () => {
      heard.push({ id: String(request.headers['webhook-id']), body })
      answer.end('taken, says the test')
    })
  })
  await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done))
  const { port } = receiver.address() as AddressInfo
  await as('root', '/channels', async ({ page }) => {
    await page.getByTestId('channel-add').click()
    await page.getByLabel('Organisation').selectOption({ label: 'Acme AG' })
    await page.getByTestId('channel-name').fill('Hook')
    await page.getByTestId('channel-kind').selectOption('webhook')
    await page.getByTestId('channel-url').fill(`http://127.0.0.1:${port}/`)
    await page.getByTestId('channel-save').click()
    assert.match(await page.getByTestId('once').inputValue(), /^whsec_/)
    await page.getByTestId('once-done').click()
    const row = page.locator('li', { hasText: 'Hook' })
    await row.getByText('Send a test').click()
    await row.locator('output').filter({ hasText: 'taken, says the test' }).waitFor()
    assert.equal(heard.length, 1)
  })
  await as('anna@acme', '/alerts', async ({ page }) => {
    await page.getByTestId('silence-910').click()
    await page.getByTestId('silence-note').fill('the rack is moved')
    await page.getByTestId('silence-save').click()
    await page.getByTestId('silenced-910').filter({ hasText: 'the rack is moved' }).waitFor()
    await page.getByTestId('history-910').click()
    await page.getByTestId('events-910').getByText('Silenced').waitFor()
    await page.getByTestId('filter-waiting').check()
    await page.getByTestId('alert-910').waitFor({ state: 'detached' })
    // What she did is told by the channel, too.
    while (heard.length < 2) await new Promise((done) => setTimeout(done, 50))
    assert.match(heard[1]?.body ?? '', /"event":"silenced".*the rack is moved/)
    await page.goto('/channels')
    await page.locator('li', { hasText: 'Hook' }).filter({ hasText: 'Works' }).waitFor()
    await page.locator('li', { hasText: 'Hook' }).getByText('Remove…').click()
    await page.getByText('Remove it').click()
    await page.getByTestId('empty').waitFor()
  })
  receiver.close()
})

test('nobody sees anything of another organisation, whatever address they go to', async () => {
  await as('anna@acme', '/', async ({ page }) => {
    await page.getByTestId('fleet').getByText('mail-0', { exact: true }).waitFor()
    await page.getByTestId('nav-sites').click()
    await page.getByTestId('sites').getByText('Bern', { exact: true }).waitFor()
    assert.equal(await page.getByText('Practice').count(), 0)
    await page.getByTestId('nav-consoles').click()
    await page.getByText('No consoles yet').waitFor()
    await page.getByTestId('nav-audit').click()
    await page.getByTestId('audit').getByText('alert.acknowledge').first().waitFor()
    assert.equal(await page.getByText('queue.send').count(), 0)
    await page.goto('/consoles/1')
    await page.locator('[data-code=not_found]').waitFor()
    await page.goto('/sites/1')
    await page.locator('[data-code=not_found]').waitFor()
    await page.goto('/alerts')
    const heard = await page.evaluate(() => fetch('/v1/sites?limit=1000').then((answer) => answer.text()))
    assert.ok(heard.includes('Bern') && !heard.includes('Practice'), heard)
  })
})

test('ten thousand appliances: the first row at once, the last by scrolling, any by searching', async () => {
  const visitor = await world.visitor()
  await visitor.signIn('anna@acme', '/alerts')
  const { page } = visitor
  const begun = Date.now()
  await page.getByTestId('nav-appliances').click()
  await page.getByTestId('fleet').getByText('mail-0', { exact: true }).waitFor()
  process.stdout.write(`first row after ${Date.now() - begun} ms\n`)
  await page.getByTestId('fleet').getByText('onerror').waitFor()
  const drawn = await page.locator('[data-testid=fleet] [data-row]').count()
  assert.ok(drawn < 60, `${drawn} rows are drawn`)
  const searched = Date.now()
  // No other name begins like this one.
  const wanted = `mail-${ROWS - 124}`
  await page.getByTestId('search').fill(wanted)
  await page.getByTestId('row-count').filter({ hasText: '1 appliance' }).waitFor()
  process.stdout.write(`one of ${ROWS} found after ${Date.now() - searched} ms\n`)
  assert.ok(page.url().endsWith(`?text=${wanted}`), 'the address says what is shown')
  await page.getByTestId('clear-filters').click()
  await page.getByTestId('fleet').getByText('mail-0', { exact: true }).waitFor()
  const clicked = Date.now()
  await page.getByTestId('sort-address').click()
  await page.getByTestId('sort-address').click()
  const last = `mail-${ROWS - 1}`
  await page.getByTestId('fleet').getByText(last, { exact: true }).waitFor()
  process.stdout.write(`sorted both ways after ${Date.now() - clicked} ms\n`)
  assert.equal(await page.getByRole('columnheader', { name: 'IP' }).getAttribute('aria-sort'), 'descending')
  await page.getByTestId('sort-address').click()
  await page.getByTestId('fleet').getByText('mail-0', { exact: true }).waitFor()
  await page.waitForFunction(
    (last) => {
      const box = document.querySelector('section[aria-label="Appliances"]')
      box?.scrollTo(0, box.scrollHeight)
      return box?.textContent?.includes(last)
    },
    `mail-${ROWS - 1}`,
    { timeout: 60_000, polling: 50 },
  )
  await page
    .getByTestId('row-count')
    .filter({ hasText: `${ROWS.toLocaleString('en')} appliances` })
    .waitFor()
  assert.equal(await page.evaluate(() => 'acted' in window), false, 'a hostile serial number is a text')
  assert.deepEqual(visitor.errors, [])
  await visitor.context.close()
})

test('another web site changes nothing with the cookie of somebody who is signed in', async () => {
  const evil = await attack(world.base)
  try {
    await as('root', '/', async ({ context }) => {
      const page = await context.newPage()
      const tried: string[] = []
      page.on('requestfinished', (request) => tried.push(`${request.method()} ${request.url()}`))
      page.on('requestfailed', (request) => tried.push(`${request.method()} ${request.url()}`))
      await page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`)
      // The form leads away from its page to the NOC's refusal.
      await page.waitForURL(`${world.base}/v1/organisations`)
      assert.ok(
        tried.some((one) => one.startsWith('POST') && one.endsWith('/v1/organisations')),
        tried.join(),
      )
      const body = await page.textContent('body')
      assert.match(body ?? '', /"code":"(not_signed_in|csrf|not_json)"/)
    })
  } finally {
    evil.close()
  }
  assert.ok(!world.noc('organisation', 'list').includes('evil'))
})

test('the page of a NOC is shown within no other page', async () => {
  const frame = createServer((_, answer) =>
    answer.setHeader('content-type', 'text/html').end(`<iframe src="${world.base}/"></iframe>`),
  )
  await new Promise<void>((done) => frame.listen(0, '127.0.0.1', done))
  const { page, context } = await world.visitor()
  const refused = page.waitForEvent('console', (message) => message.text().includes('frame-ancestors'))
  await page.goto(`http://127.0.0.1:${(frame.address() as AddressInfo).port}/`)
  await refused
  await context.close()
  frame.close()
})

test('a session that is ended elsewhere leads to the sign-in, and back to the page as it was', async () => {
  await as('root', '/sites/1', async ({ page }) => {
    await page.getByTestId('field-dns2').fill('10.99.0.3')
    world.database((db) => {
      const last = db
        .prepare('SELECT max(id) AS id FROM sessions WHERE operator = 1 AND revoked IS NULL')
        .get()?.id as number
      db.prepare('UPDATE sessions SET revoked = 1 WHERE id = ?').run(last)
    })
    await page.getByTestId('session-ended').waitFor({ timeout: 30_000 })
    assert.equal(await page.getByTestId('field-dns2').isVisible(), false)
    await page.getByTestId('login').fill('root')
    await page.getByTestId('password').fill(PASSWORD)
    await page.getByTestId('sign-in-submit').click()
    await page.getByTestId('site-save').waitFor()
    assert.equal(
      await page.getByTestId('field-dns2').inputValue(),
      '10.99.0.3',
      'what was typed is still there',
    )
  })
})

test('operators are added, given roles and disabled, and sessions ended', async () => {
  await as('anna@acme', '/operators', async ({ page, context }) => {
    await page.getByTestId('operator-add').click()
    await page.getByTestId('new-login').fill('otto')
    await page.getByTestId('new-name').fill('Otto')
    await page.getByTestId('new-password').fill('short')
    await page.getByTestId('operator-save').click()
    await page.locator('[data-code=password_refused]').waitFor()
    await page.getByTestId('new-password').fill(PASSWORD)
    await page.getByTestId('operator-save').click()
    const otto = page.getByTestId('operator-otto@acme')
    await otto.filter({ hasText: 'Viewer of Acme AG' }).waitFor()
    await page.getByTestId('roles-otto@acme').click()
    await page.getByLabel('Role 1', { exact: true }).selectOption('operator')
    await page.getByLabel('Where role 1 holds').selectOption({ label: `Acme AG: ${LONG}` })
    await page.getByTestId('roles-save').click()
    await otto.filter({ hasText: `Operator of ${LONG}` }).waitFor()
    await page.getByTestId('disable-otto@acme').click()
    await otto.filter({ hasText: 'Disabled' }).waitFor()

    // Whoever administers an organisation ends sessions of its people.
    const theirs = page.getByTestId('session').filter({ hasText: 'vera@acme' })
    await page.getByTestId('session').filter({ hasText: 'anna@acme' }).first().waitFor()
    const before = await theirs.count()
    const vera = await (await world.visitor()).signIn('vera@acme')
    await theirs.nth(before).getByTestId('session-end').click()
    await vera.page.getByTestId('session-ended').waitFor({ timeout: 30_000 })
    await vera.context.close()

    const second = await world.visitor()
    await second.signIn('anna@acme')
    await page.getByTestId('nav-me').click()
    await page.getByTestId('session-end').last().click()
    await second.page.getByTestId('session-ended').waitFor({ timeout: 30_000 })
    await second.context.close()
    assert.equal((await context.cookies()).length, 1)
  })
})

test('a console is invited and revoked, and a program gets a token', async () => {
  await as('anna@acme', '/consoles', async ({ page }) => {
    await page.getByTestId('invite').click()
    await page.getByLabel('Bern (Acme AG)').check()
    await page.getByTestId('invite-save').click()
    const invite = await page.getByTestId('once').inputValue()
    assert.match(invite, /^muster-invite:/)
    await page.getByTestId('once-done').click()
    await page.getByTestId('invites').getByText('Bern').waitFor()
    world.join(invite)
    await page.getByTestId('consoles').getByRole('link').first().click()
    await page.getByTestId('revoke').click()
    await page.getByTestId('revoke-sure').click()
    await page.getByText('It gets no more messages.').waitFor()

    await page.getByTestId('nav-me').click()
    await page.getByTestId('token-add').click()
    await page.getByTestId('token-name').fill('reports')
    await page.getByTestId('token-save').click()
    const token = await page.getByTestId('once').inputValue()
    await page.getByTestId('once-done').click()
    await page.getByTestId('tokens').getByText('reports').waitFor()
    const authorization = `Bearer ${token}`
    assert.equal((await ask(world.base, '/v1/appliances', { authorization })).status, 200)
    assert.equal((await ask(world.base, '/v1/sites', { authorization })).status, 403)
    await page.getByRole('button', { name: 'End the token reports' }).click()
    await page.getByText('None. Programs').waitFor()
    assert.equal((await ask(world.base, '/v1/appliances', { authorization })).status, 401)
  })
})

test('the audit log is searched and exported', async () => {
  await as('root', '/audit', async ({ page }) => {
    await page.getByTestId('audit-action').fill('site.')
    await page.getByTestId('audit').getByText('site.add').first().waitFor()
    await page.waitForFunction(
      () => !document.querySelector('[data-testid=audit]')?.textContent?.includes('sign_in.good'),
    )
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByTestId('audit-export').click(),
    ])
    assert.equal(file.suggestedFilename(), 'muster-audit.jsonl')
    const stream = await file.createReadStream()
    let text = ''
    for await (const part of stream) text += part
    const actions = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).action)
    assert.ok(actions.length >= 4 && actions.every((action) => action.startsWith('site.')), actions.join())
  })
})

test('files are kept by browsers and the page is asked for anew', async () => {
  const html = { accept: 'text/html' }
  const page = await ask(world.base, '/sites/1', html)
  assert.equal(page.headers['cache-control'], 'private, no-cache')
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(page.text)?.[1] as string
  assert.match(String((await ask(world.base, script)).headers['cache-control']), /immutable/)
  const again = await ask(world.base, '/', { ...html, 'if-none-match': String(page.headers.etag) })
  assert.equal(again.status, 304)
})

/** A page that tries whatever a page of another site can. */
async function attack(base: string): Promise<Server> {
  const body = '{"handle":"evil","name":"Evil","x":"'
  const page = `<!doctype html><form method="post" enctype="text/plain" action="${base}/v1/organisations">
    <input name='${body}' value='"}'></form><script>
    const url = '${base}/v1/organisations'
    const init = { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"handle":"evil","name":"Evil"}' }
    const asJson = { ...init, mode: 'cors', headers: { 'content-type': 'application/json', 'x-muster-csrf': 'x' } }
    Promise.allSettled([fetch(url, init), fetch(url, asJson)]).then(() => document.forms[0].submit())</script>`
  const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(page))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return server
}
