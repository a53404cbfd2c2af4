// Texts that would act if they were taken for markup: everywhere they stand as they are, and nothing acts.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { HOSTILE } from '../src/backend/hostile.ts'
import { Stage } from './browser.ts'

let stage: Stage
before(async () => {
  stage = await Stage.open()
})
after(() => stage.close())

/** Nothing ran, nothing of it became an element, and the browser asked for none of it. */
async function assertInert(page: Page, errors: string[]): Promise<void> {
  const found = await page.evaluate(() => ({
    acted: (window as unknown as { acted?: number }).acted ?? 0,
    elements: document.querySelectorAll(
      'img[src=x], iframe, svg[onload], [onerror], body script:not([src]), a[href^="javascript"]',
    ).length,
  }))
  assert.deepEqual(found, { acted: 0, elements: 0 })
  assert.deepEqual(errors, [])
}

async function readsAsText(page: Page, texts: readonly string[]): Promise<void> {
  const shown = (await page.locator('body').textContent()) ?? ''
  for (const text of texts) assert.ok(shown.includes(text), `${text} is shown as it is`)
}

test('grid, tooltips and search show hostile texts as texts', async () => {
  const { page, errors } = await stage.page('?heard=1&configured=1&hostile=1&appliances=12')
  await page.locator('.ag-row').first().waitFor()
  await readsAsText(page, HOSTILE)
  for (const column of ['model', 'host_name']) {
    await page.locator(`.ag-row[row-index="0"] [col-id=${column}]`).hover()
    await page.locator('.ag-tooltip').first().waitFor()
    await assertInert(page, errors)
  }
  await page.getByTestId('search').fill('<img src=x')
  await page
    .getByTestId('row-count')
    .filter({ hasText: /^2 of 12/ })
    .waitFor()
  await assertInert(page, errors)
  await page.close()
})

test('the page of an appliance, and alerts, show hostile texts as texts', async () => {
  const { page, errors } = await stage.page('?heard=1&configured=1&hostile=1&appliances=6')
  for (let row = 0; row < HOSTILE.length; row++) {
    await page.locator(`.ag-row[row-index="${row}"]`).first().dblclick()
    await page.getByTestId('beat-charts').waitFor()
    const shown = (await page.locator('body').textContent()) ?? ''
    assert.ok(
      HOSTILE.some((text) => shown.includes(text)),
      'its texts are there',
    )
    await assertInert(page, errors)
    await page.goBack()
    await page.locator('.ag-row').first().waitFor()
  }
  await page.close()
})

test('the wizard shows hostile texts as texts and takes none of them for a name', async () => {
  const { page, errors } = await stage.page('?heard=1&hostile=1&unclaimed=0&appliances=6')
  await page.getByRole('checkbox', { name: /select all/i }).click()
  await page.getByTestId('configure').click()
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('plan-sheet').waitFor()
  await page.locator('.dsg-cell:not(.dsg-cell-header)').nth(2).dblclick()
  await page.keyboard.type('<img src=x onerror="window.acted=1">')
  await page.keyboard.press('Enter')
  await page.getByTestId('wizard-next').click()
  await page.getByText(/problems? to solve/).waitFor()
  await assertInert(page, errors)
  await page.close()
})

test('messages of the NOC show hostile texts as texts', async () => {
  const { page, errors } = await stage.page('?heard=1&hostile=1&messages=80#/messages')
  await page.getByTestId('nav-messages').waitFor()
  await readsAsText(page, HOSTILE)
  await assertInert(page, errors)
  await page.close()
})
