// axe on every page of the NOC's face, in light and dark, contrast included. SHOTS=folder keeps a picture of each.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { examine } from './examine.ts'
import { LONG, World } from './world.ts'

type Visit = (page: Page) => Promise<unknown>
const click = (id: string) => (page: Page) => page.getByTestId(id).first().click()
const see = (id: string) => (page: Page) => page.getByTestId(id).first().waitFor()

const SCREENS: [name: string, login: string, path: string, ...visits: Visit[]][] = [
  ['appliances', 'anna@acme', '/', (page) => page.locator('[data-row]').first().waitFor()],
  ['appliances, of all', 'root', '/', (page) => page.locator('[data-row]').first().waitFor()],
  ['appliances, no match', 'anna@acme', '/?text=zzzz', see('empty')],
  [
    'appliance',
    'anna@acme',
    '/?text=sixty-three',
    (page) => page.getByTestId('fleet').getByRole('link').first().click(),
    (page) => page.getByText('192.0.2').or(page.getByText('No beats in the last 24 hours')).first().waitFor(),
  ],
  ['appliance, unknown', 'anna@acme', '/appliances/NOBODY', see('empty')],
  ['alerts', 'anna@acme', '/alerts', see('alert-901')],
  ['alerts, acknowledging', 'anna@acme', '/alerts', click('acknowledge-901'), see('note')],
  ['alerts, silencing', 'anna@acme', '/alerts', click('silence-901'), see('silence-note')],
  ['alerts, history', 'anna@acme', '/alerts', click('history-902'), see('events-902')],
  ['channels', 'anna@acme', '/channels', see('channels')],
  [
    'channels, adding',
    'anna@acme',
    '/channels',
    click('channel-add'),
    click('channel-quiet'),
    see('quiet-zone'),
  ],
  [
    'channels, changing',
    'anna@acme',
    '/channels',
    (page) => page.getByText('Change…').first().click(),
    see('channel-form'),
  ],
  [
    'channels, tested in vain',
    'anna@acme',
    '/channels',
    (page) => page.getByText('Send a test').first().click(),
    (page) => page.locator('output').first().waitFor(),
  ],
  ['channels, none', 'nora@empty', '/channels', see('empty')],
  ['alerts, none', 'nora@empty', '/alerts', see('empty')],
  ['appliances, none', 'nora@empty', '/', see('empty')],
  ['sites', 'root', '/sites', see('sites')],
  ['sites, none', 'nora@empty', '/sites', see('empty')],
  ['site', 'anna@acme', '/sites/2', see('site-save')],
  ['site, not to change', 'vera@acme', '/sites/3', see('policy-form')],
  [
    'site, with faults',
    'root',
    '/sites/new',
    click('site-save'),
    (page) => page.locator('.mantine-InputWrapper-error').first().waitFor(),
  ],
  ['organisations', 'root', '/organisations', see('organisations-list')],
  ['organisation', 'anna@acme', '/organisations/2', see('profile-0-beat_interval_s')],
  ['organisation, not to change', 'vera@acme', '/organisations/2', see('said-domain')],
  [
    'site, thinking of a change',
    'anna@acme',
    '/sites/2',
    (page) => page.getByTestId('field-dns1').fill('10.1.0.54'),
    click('site-try'),
    see('preview-row'),
  ],
  ['site, models', 'anna@acme', '/sites/2/models', see('profile-0-host_name')],
  ['site, what appliances get', 'vera@acme', '/sites/2/result', see('preview-row'), see('effective')],
  [
    'site, reservations',
    'anna@acme',
    '/sites/2/reservations',
    see('reservation'),
    click('reservation-add'),
    (page) => page.getByTestId('reservations-import-text').fill('serial,colour\nA,red\n'),
    click('reservations-import-go'),
    see('faults'),
  ],
  ['site, nothing reserved', 'anna@acme', '/sites/3/reservations', see('reservations-import')],
  [
    'site, monitoring with rules of its own and one that is refused',
    'anna@acme',
    '/sites/2/monitoring',
    see('monitoring-save'),
    click('rules-own'),
    (page) => page.getByTestId('monitoring-miss_intervals').fill('99'),
    click('maintenance-add'),
    click('monitoring-save'),
    (page) => page.getByText('must be 1 to 20').first().waitFor(),
  ],
  ['site, monitoring, not to change', 'vera@acme', '/sites/3/monitoring', see('monitoring-form')],
  ['drafts', 'anna@acme', '/drafts', see('drafts')],
  ['drafts, none', 'nora@empty', '/drafts', see('empty')],
  [
    'draft',
    'anna@acme',
    '/drafts/1',
    (page) => page.getByTestId('draft-rows').getByRole('link').first().waitFor(),
  ],
  [
    'draft, new',
    'anna@acme',
    '/drafts/new',
    (page) => page.getByTestId('draft-kind').selectOption('edit'),
    see('draft-dns1'),
  ],
  [
    'appliance, going back',
    'anna@acme',
    '/?text=mail-7777',
    (page) => page.getByText('1 appliance', { exact: true }).waitFor(),
    (page) => page.getByTestId('fleet').getByRole('link').first().click(),
    click('back-1'),
    see('back-why'),
  ],
  ['consoles', 'root', '/consoles', (page) => page.locator('[data-row]').first().waitFor()],
  ['console', 'root', '/consoles/1', see('send-form')],
  [
    'console, configuring',
    'root',
    '/consoles/1',
    (page) => page.getByTestId('order').selectOption('config'),
    (page) => page.getByTestId('by').selectOption('hand'),
    (page) => page.getByLabel('Host name').waitFor(),
  ],
  [
    'console, messages',
    'root',
    '/consoles/1',
    (page) => page.getByTestId('order').selectOption('list'),
    click('send'),
    (page) => page.getByTestId('message').filter({ hasText: 'Done' }).first().waitFor({ timeout: 30_000 }),
  ],
  ['operators', 'root', '/operators', see('operator-anna@acme')],
  ['operators, adding', 'anna@acme', '/operators', click('operator-add'), see('operator-form')],
  [
    'appliance, other settings',
    'anna@acme',
    '/?text=mail-7777',
    (page) => page.getByText('1 appliance', { exact: true }).waitFor(),
    (page) => page.getByTestId('fleet').getByRole('link').first().click(),
    click('settings-change'),
    see('setting-why'),
    click('tell-reboot'),
    see('tell-sure'),
  ],
  ...['replace', 'decommission', 'release'].map((ending): [string, string, string, ...Visit[]] => [
    `appliance, ${ending}`,
    'anna@acme',
    '/?text=mail-7777',
    (page) => page.getByText('1 appliance', { exact: true }).waitFor(),
    (page) => page.getByTestId('fleet').getByRole('link').first().click(),
    click(ending),
    see('confirmed-word'),
  ]),
  [
    'appliances, sorted',
    'anna@acme',
    '/?sort=-name',
    see('sort-name'),
    (page) => page.locator('[data-row]').first().waitFor(),
  ],
  [
    'manifest',
    'anna@acme',
    '/inventory',
    (page) => page.getByTestId('manifest-text').fill('serial,mac,uid,claim\nA,b,c,d\n'),
    click('manifest-go'),
    see('faults'),
  ],
  ['operators, sessions', 'root', '/operators', click('sessions-vera@acme'), see('session')],
  ['audit', 'root', '/audit', (page) => page.locator('[data-row]').first().waitFor()],
  ['consoles, inviting', 'root', '/consoles', click('invite'), see('invite-form')],
  ['console, revoking', 'root', '/consoles/1', click('revoke'), see('revoke-sure')],
  [
    'oneself, making a token',
    'vera@acme',
    '/me',
    // What comes above moves the button.
    (page) => page.getByText('This session').waitFor(),
    click('token-add'),
    see('token-form'),
  ],
  ['oneself', 'vera@acme', '/me', (page) => page.getByText('This session').waitFor()],
]

let world: World
before(async () => {
  world = await World.open()
  world.noc('organisation', 'add', '--handle', 'empty', '--name', 'Empty')
  // Some of those that only stand in the database count as configured; the status daemon, which runs already, does not look for them.
  world.database((db) => {
    db.exec(
      "UPDATE appliances SET applied = 1 WHERE organisation = 2 AND (id % 40 = 0 OR serial = 'SN07777')",
    )
  })
  const acme = ['--organisation', 'acme']
  world.noc('policy', 'set', ...acme, '--domain', 'acme.example', '--dns1', '10.1.0.53')
  world.noc('policy', 'set', ...acme, '--model', 'Mail', '--beat-interval', '30')
  world.noc('policy', 'set', '--site', 'Bern', '--model', 'Mail', '--host-name', 'mail-{n}')
  world.noc('reservation', 'add', 'Bern', '--serial', 'SN-NEW', '--address', '10.1.200.1', '--note', LONG)
  world.noc('draft', 'edit', 'Bern', '--title', 'Another name server for all of Bern', '--dns1', '10.1.0.53')
  const known: { uid: string; settings: { host_name: string } | null }[] = JSON.parse(
    world.noc('inventory', 'list', '--json'),
  )
  const { uid } = known.find((row) => row.settings?.host_name === 'mail-7777') as { uid: string }
  world.noc(
    'appliance',
    'configure',
    uid,
    '--address',
    '10.9.0.1',
    '--why',
    'The rack is moved to the other room. '.repeat(6),
  )
  const long = 'A ticket system with a name that is as long as names may be, or so'.slice(0, 64)
  const from = ['--from', 'muster@example.net', '--to', 'operators.of.the.whole.company@example.net']
  world.noc(
    'channel',
    'add',
    'webhook',
    '--organisation',
    'acme',
    '--name',
    long,
    '--url',
    'https://127.0.0.1:1/',
  )
  world.noc(
    'channel',
    'add',
    'email',
    '--organisation',
    'acme',
    '--name',
    'Mail',
    '--server',
    '127.0.0.1',
    ...from,
  )
  world.operator('nora', 'administrator', 'empty')
  world.database((db) => {
    const uids = db.prepare('SELECT id FROM appliances WHERE organisation = 2 LIMIT 9').all()
    const insert = db.prepare(
      'INSERT INTO alerts (id, site, kind, opened, closed, acknowledged, acknowledged_by, note, revision) VALUES (?, ?, ?, 1790000000, ?, ?, ?, ?, 1)',
    )
    insert.run(901, 2, 'silent', null, null, '', '')
    insert.run(
      902,
      3,
      'site',
      null,
      1790000100,
      'anna@acme',
      'The line is down, the provider works on it. '.repeat(6),
    )
    insert.run(903, 2, 'never_reported', 1790009000, null, '', '')
    db.exec(
      `UPDATE alerts SET escalated = 1790000500, silenced_until = 9000000000, silenced_by = 'anna@acme', silence_note = 'Later. ' WHERE id = 902;
       INSERT INTO alert_events (alert, time, what, actor, who, note) VALUES (902, 1790000000, 'opened', 'noc', '', ''),
         (902, 1790000100, 'acknowledged', 'operator:1:anna@acme', 'anna@acme', 'The provider works on it. The provider works on it.')`,
    )
    const link = db.prepare('INSERT INTO alert_appliances (alert, appliance) VALUES (?, ?)')
    for (const [n, row] of uids.entries()) link.run(n === 0 ? 901 : 902, row.id as number)
  })
})
after(() => world.close())

for (const scheme of ['light', 'dark'] as const) {
  test(`the sign-in, ${scheme}`, async () => {
    const visitor = await world.visitor(scheme)
    await visitor.page.goto('/')
    await visitor.page.getByTestId('sign-in').waitFor()
    await examine(visitor.page, `sign-in, ${scheme}`)
    assert.deepEqual(visitor.errors, [])
    await visitor.context.close()
  })
  test(`every page, ${scheme}`, async (t) => {
    const visitors = new Map<string, Awaited<ReturnType<World['visitor']>>>()
    for (const [name, login, path, ...visits] of SCREENS)
      await t.test(name, async () => {
        // Signed in once for each: attempts are few, and this is not about them.
        let visitor = visitors.get(login)
        if (!visitor) {
          visitor = await (await world.visitor(scheme)).signIn(login)
          visitors.set(login, visitor)
        }
        const { page, errors } = visitor
        await page.goto(path)
        for (const visit of visits) await visit(page)
        await page.mouse.move(2, 2)
        await examine(page, `${name}, ${scheme}`)
        assert.deepEqual(errors, [], 'the console is silent')
      })
    for (const visitor of visitors.values()) await visitor.context.close()
  })
}
