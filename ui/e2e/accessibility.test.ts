// axe on every screen, in light and dark, contrast included.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { type Scheme, Stage } from './browser.ts'

type Visit = (page: Page) => Promise<unknown>
const click = (id: string) => (page: Page) => page.getByTestId(id).first().click()
const see = (id: string) => (page: Page) => page.getByTestId(id).first().waitFor()
const wizardTo =
  (step: number): Visit =>
  async (page) => {
    await page.getByTestId('configure').click()
    for (let i = 1; i <= step; i++) {
      await page.getByTestId('wizard-next').click()
      await page.locator(`[data-testid=wizard][data-step="${i}"]`).waitFor()
      await page
        .locator('[data-testid=wizard-next]:not([data-loading]), [data-testid=wizard-apply]')
        .waitFor()
    }
  }

/** Application settings of a mail gateway, with a long text and one that would act. */
const DOCUMENT = JSON.stringify({
  domains: ['example.net', 'example.org'],
  footer: `<img src=x onerror="window.acted=1"> ${'long '.repeat(60)}`,
  largest_mail_mib: 25,
  licence: 'ABCDE-12345-FGHIJ-67890',
  relays: [{ host: 'mx.example.net', port: 25, tls: 'required' }],
})

const SCREENS: [name: string, path: string, ...visits: Visit[]][] = [
  ['first start', '?first=1', see('start-join')],
  [
    'first start, refused invite',
    '?first=1',
    click('start-join'),
    async (page) => {
      await page.getByTestId('invite-input').fill('nonsense')
      await page.getByTestId('invite-submit').click()
      await page.getByTestId('problem').waitFor()
    },
  ],
  ['first start, this computer', '?first=1', click('start-local'), see('local-submit')],
  ['appliances, empty', '', see('empty')],
  ['map', '?appliances=10000&heard=1&configured=0.9', click('as-map'), see('heat-cells')],
  ['appliances, discovering', '?appliances=200', click('discover'), see('stop-discovery')],
  [
    'appliances',
    '?heard=1&configured=0.6&unclaimed=0.3',
    see('row-count'),
    (page) => page.locator('.ag-row').first().waitFor(),
  ],
  [
    'appliances, filters by column',
    '?heard=1&configured=0.6',
    (page) => page.getByRole('button', { name: 'Filters by column' }).click(),
    (page) => page.locator('.ag-floating-filter').first().waitFor(),
  ],
  [
    'appliances, no match',
    '?heard=1',
    async (page) => page.getByTestId('search').fill('zzzz'),
    see('clear-filters'),
  ],
  [
    'appliances, columns',
    '?heard=1',
    click('columns'),
    (page) => page.getByText('Back to the standard').waitFor(),
  ],
  ['appliances, NOC lost', '?heard=1&lost=1', see('noc-lost')],
  [
    'appliances, every state',
    '?heard=1&awkward=1',
    see('row-count'),
    (page) => page.locator('.ag-row').first().waitFor(),
  ],
  ['appliance, long names and conflicts', '?heard=1&awkward=1&configured=1', openFirst],
  [
    'shortcuts',
    '?heard=1',
    see('row-count'),
    (page) => page.keyboard.press('?'),
    (page) => page.getByRole('dialog').waitFor(),
  ],
  [
    'appliance, application settings',
    `?heard=1&configured=1&applets=1&appliances=3&documents=${encodeURIComponent(DOCUMENT)}`,
    openFirst,
    see('application-document'),
  ],
  [
    'wizard, appliances that differ',
    `?heard=1&configured=1&applets=1&appliances=12&documents=${encodeURIComponent(`${DOCUMENT}\n{"largest_mail_mib":9}`)}`,
    (page) => page.getByRole('checkbox', { name: /select all/i }).click(),
    wizardTo(1),
    see('applet-differ'),
    (page) => page.locator('[data-testid=application-review] summary').click(),
    see('application-document'),
  ],
  ['preview of an applet', '?preview=mail-gateway', see('applet-form')],
  ['wizard, choose', '?heard=1&unclaimed=0.5&seed=3', wizardTo(0), see('label-codes')],
  ['wizard, plan', '?heard=1&unclaimed=0.5&seed=3', wizardTo(1), see('plan-sheet')],
  [
    'wizard, findings',
    '?heard=1&unclaimed=0',
    wizardTo(1),
    async (page) => {
      await page.locator('.dsg-cell:not(.dsg-cell-header)').nth(2).dblclick()
      await page.keyboard.type('a.b')
      await page.keyboard.press('Enter')
      await page.getByTestId('wizard-next').click()
      await page.getByText('1 problem to solve').waitFor()
    },
  ],
  ['wizard, review', '?heard=1&unclaimed=0', wizardTo(3), see('wizard-apply')],
  ['wizard, applets', '?heard=1&unclaimed=0&configured=1&applets=1&appliances=12', wizardWithPage],
  [
    'wizard, applets, problems',
    '?heard=1&unclaimed=0&configured=1&applets=1&appliances=12',
    wizardWithPage,
    click('wizard-next'),
    (page) => page.locator('[data-testid=applets-panel] [aria-invalid=true]').first().waitFor(),
  ],
  [
    'wizard, applets, proposals',
    '?heard=1&unclaimed=0&configured=1&applets=1&appliances=12',
    wizardWithPage,
    (page) => page.frameLocator('[data-testid=applet-frame]').locator('#usual').click(),
    see('applet-proposals'),
    see('applet-said'),
  ],
  [
    'wizard, applet that failed',
    '?heard=1&unclaimed=0&attack=broken&appliances=6',
    wizardTo(1),
    see('applet-ended'),
  ],
  ['appliance, applet', '?heard=1&configured=1&applets=1', openGateway, see('application-card')],
  ['wizard, plan with IPv6', '?heard=1&unclaimed=0&ipv6=1', wizardTo(1), see('plan-sheet')],
  ['wizard, review with IPv6', '?heard=1&unclaimed=0&ipv6=1', wizardTo(3), see('wizard-apply')],
  ['appliance with IPv6', '?heard=1&configured=1&ipv6=1', openFirst, see('beat-charts')],
  ['job, running', '?heard=1&unclaimed=0', wizardTo(3), click('wizard-apply'), see('job-cancel')],
  ['job, summary', '?heard=1&unclaimed=0&speed=20', wizardTo(3), click('wizard-apply'), see('wizard-done')],
  ['appliance', '?heard=1&configured=1', openFirst, see('beat-charts')],
  [
    'appliance, table',
    '?heard=1&configured=1',
    openFirst,
    (page) => page.getByText('Table').click(),
    see('beat-table'),
  ],
  ['appliance, unconfigured', '?heard=1', openFirst],
  ['alerts, none', '#/alerts', see('alerts-list')],
  [
    'alerts',
    '?heard=1&configured=1&speed=100#/practice',
    click('practice-silence'),
    see('nav-alerts-count'),
    click('nav-alerts'),
    see('alert-1'),
  ],
  ['messages of the NOC, none', '#/messages', see('messages')],
  ['messages of the NOC', '?heard=1&messages=14#/messages', see('nav-messages-count')],
  ['messages of the NOC, long', '?heard=1&messages=60&hostile=1#/messages', see('nav-messages')],
  ['practice', '?heard=1&configured=1#/practice', click('practice-silence'), see('practice-silenced')],
  [
    'inventory, wrong lines',
    '#/inventory',
    async (page) => {
      await page.getByTestId('manifest-input').fill('serial,mac,uid,claim\nSN1,AA')
      await page.getByTestId('manifest-submit').click()
      await page.getByTestId('manifest-errors').waitFor()
    },
  ],
  ['settings', '#/settings', see('version')],
  [
    'settings of notifications',
    '?heard=1#/settings',
    click('quiet-hours'),
    see('quiet-day-6'),
    click('quiet-on'),
    see('quiet-off'),
  ],
  ['summary, all well', '#/summary', see('summary-state')],
  [
    'summary',
    '?heard=1&configured=1&speed=100#/practice',
    click('practice-silence'),
    see('nav-alerts-count'),
    (page) => page.evaluate(() => window.location.assign('#/summary')),
    see('summary-alert-1'),
  ],
  ['summary, NOC lost', '?heard=1&lost=1#/summary', see('summary-state')],
]

let stage: Stage
before(async () => {
  stage = await Stage.open()
  stage.applets.set('broken', { logic: "throw new Error('no licence')" })
})
after(() => stage.close())

for (const scheme of ['light', 'dark'] satisfies Scheme[])
  for (const [name, path, ...visits] of SCREENS)
    test(`${name}, ${scheme}`, async () => {
      const { page, errors } = await stage.page(path, scheme)
      try {
        for (const visit of visits) await visit(page)
        // A tooltip of where the mouse happens to be is not part of the page.
        await page.mouse.move(2, 2)
        await page.locator('[role=tooltip]').first().waitFor({ state: 'detached' })
        await stage.hold(page)
        await page.evaluate(axe.source)
        const found = await page.evaluate(async () => {
          const result = await (globalThis as unknown as { axe: typeof axe }).axe.run()
          return result.violations.flatMap(({ id, nodes }) =>
            nodes
              .slice(0, 4)
              .map(
                (node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary?.split('\n')[1] ?? ''}`,
              ),
          )
        })
        assert.deepEqual(found, [], 'axe found nothing')
        assert.deepEqual(errors, [], 'the console is silent')
      } finally {
        await page.close()
      }
    })

async function wizardWithPage(page: Page): Promise<void> {
  // All of them are configured: only what is chosen is configured again.
  await page.getByRole('checkbox', { name: /select all/i }).click()
  await wizardTo(1)(page)
  await page.frameLocator('[data-testid=applet-frame]').locator('svg.chart').first().waitFor()
}

async function openGateway(page: Page): Promise<void> {
  await page.locator('.ag-row', { hasText: 'MX-' }).first().locator('[col-id=mac]').dblclick()
  await page.getByTestId('appliance-page').waitFor()
}

async function openFirst(page: Page): Promise<void> {
  await page.locator('.ag-row [col-id=mac]').first().dblclick()
  await page.getByTestId('appliance-page').waitFor()
}
