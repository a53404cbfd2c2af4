// The grid with 10,000 appliances, and the sheet: what only a real layout can show.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { Stage } from './browser.ts'

let stage: Stage
before(async () => {
  stage = await Stage.open()
})
after(() => stage.close())

const text = (page: Page, id: string) =>
  page
    .getByTestId(id)
    .textContent()
    .then((found) => found ?? '')

test('10,000 live rows: discovered, virtualised, scrolled, sorted, searched, filtered, selected', async (t) => {
  const { page, errors } = await stage.page('?appliances=10000&configured=0.7')
  await page.getByTestId('discover').click()
  await page.locator('[data-testid=discovery-status][data-running=false]').waitFor()
  await page.getByTestId('row-count').filter({ hasText: '10,000 appliances' }).waitFor()
  const rendered = await page.locator('.ag-grid-scrolling-container > .ag-row').count()
  assert.ok(rendered > 15 && rendered < 120, `only what is on screen is drawn, but ${rendered} rows are`)

  const frames = await scrollFrames(page)
  // A figure, no limit: it depends on what else the machine does.
  t.diagnostic(
    `${frames.count} frames in a second of dragging through all rows, the longest ${frames.longest} ms`,
  )
  await page.evaluate(() => document.querySelector('.ag-grid-viewport')?.scrollTo(0, 1e9))
  await page.locator('.ag-row[row-index="9999"]').first().waitFor()

  await page.getByRole('columnheader', { name: 'Host name' }).click()
  await page.getByRole('columnheader', { name: 'Host name' }).click()
  await page.evaluate(() => document.querySelector('.ag-grid-viewport')?.scrollTo(0, 0))
  await page.locator('.ag-row[row-index="0"] [col-id=host_name]').filter({ hasText: /^mx-/ }).waitFor()

  await page.keyboard.press('/')
  await page.keyboard.type('00:1B:21:00:00:0')
  await page
    .getByTestId('row-count')
    .filter({ hasText: /^[1-9]\d? of 10,000/ })
    .waitFor()
  await page.getByTestId('search').fill('')

  await page.getByRole('button', { name: /^Configured/ }).click()
  assert.match(await text(page, 'row-count'), /^[67],\d{3} of 10,000/)
  await page.getByRole('checkbox', { name: /select all/i }).click()
  await page
    .getByTestId('row-count')
    .filter({ hasText: /[67],\d{3} selected/ })
    .waitFor()
  assert.match(await text(page, 'configure'), /Configure [67],\d{3} appliances/)
  assert.deepEqual(errors, [])
  await page.close()
})

test('keyboard alone: arrows, Space, Shift, Enter, and back', async () => {
  const { page } = await stage.page('?heard=1&configured=0.5&appliances=50')
  await page.locator('.ag-row').first().waitFor()
  await page.keyboard.press('/')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Space')
  await page.getByTestId('row-count').filter({ hasText: '1 selected' }).waitFor()
  await page.keyboard.press('Shift+ArrowDown')
  await page.getByTestId('row-count').filter({ hasText: '2 selected' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByTestId('row-count').filter({ hasNotText: 'selected' }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByTestId('appliance-page').waitFor()
  await page.close()
})

test('the columns that the administrator chose are remembered', async () => {
  const { page } = await stage.page('?heard=1')
  await page.getByTestId('columns').click()
  await page.getByLabel('Serial number').check()
  await page.getByLabel('Maker').uncheck()
  await page.keyboard.press('Escape')
  await page.getByTestId('nav-alerts').click()
  await page.getByTestId('nav-appliances').click()
  await page.getByRole('columnheader', { name: 'Serial number' }).waitFor()
  assert.equal(await page.getByRole('columnheader', { name: 'Maker' }).count(), 0)
  await page.close()
})

test('the sheet: edit, paste from a spreadsheet, fill down, findings that lead to their cell', async () => {
  const { page, errors } = await stage.page('?heard=1&unclaimed=0&appliances=6')
  await page.getByTestId('configure').click()
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('plan-sheet').waitFor()
  const cell = (row: number, name: string) =>
    page
      .locator('.dsg-row')
      .nth(row + 1)
      .getByLabel(new RegExp(`^${name},`))

  await cellBox(page, 0, 2).click()
  await page.keyboard.type('core-07')
  await page.keyboard.press('Enter')
  await cellBox(page, 0, 2).click()
  await page.getByTestId('fill-down').click()
  assert.deepEqual(await Promise.all([0, 1, 5].map((row) => cell(row, 'Host name').inputValue())), [
    'core-07',
    'core-08',
    'core-12',
  ])

  await cellBox(page, 1, 4).click()
  await paste(page, '10.20.9.1\t255.255.0.0\n10.20.9.1\t255.255.0.0')
  await page.getByTestId('wizard-next').click()
  const findings = page.getByTestId('findings')
  await findings.getByText('2 problems to solve').waitFor()
  assert.equal(await page.getByTestId('wizard-next').isDisabled(), true)
  await findings.getByRole('button').nth(1).click()
  await page.keyboard.type('10.20.9.2')
  await page.keyboard.press('Enter')
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('wizard-apply').waitFor()
  assert.deepEqual(errors, [])
  await page.close()
})

test('the sheet: columns for IPv6 when they are asked for, checked and reviewed', async () => {
  const { page, errors } = await stage.page('?heard=1&unclaimed=0&appliances=3')
  await page.getByTestId('configure').click()
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('plan-sheet').waitFor()
  const titles = () => page.locator('.dsg-cell-header').allInnerTexts()
  assert.ok(!(await titles()).includes('IPv6'), 'a site without IPv6 has no columns for it')
  await page.getByTestId('with-ipv6').check()
  await page.locator('.dsg-cell-header').filter({ hasText: 'IPv6' }).first().waitFor()
  // Not by number: columns that are out of sight are not there.
  const box = (row: number) =>
    page
      .locator('.dsg-row')
      .nth(row + 1)
      .locator('.dsg-cell:has(input[aria-label^="IPv6,"])')
  await box(0).click()
  await page.keyboard.type('2001:db8::fe/64')
  await page.keyboard.press('Enter')
  await box(0).click()
  await page.getByTestId('fill-down').click()
  const cell = (row: number) =>
    page
      .locator('.dsg-row')
      .nth(row + 1)
      .getByLabel(/^IPv6,/)
  assert.deepEqual(await Promise.all([0, 1, 2].map((row) => cell(row).inputValue())), [
    '2001:db8::fe/64',
    '2001:db8::ff/64',
    '2001:db8::100/64',
  ])
  assert.equal(await page.getByTestId('with-ipv6').count(), 0, 'what is filled in cannot be hidden')
  await box(1).click()
  await page.keyboard.type('2001:DB8::00FE/64')
  await page.keyboard.press('Enter')
  await page.getByTestId('wizard-next').click()
  const findings = page.getByTestId('findings')
  await findings.getByText('2 problems to solve').waitFor()
  await findings.getByRole('button').nth(1).click()
  await page.keyboard.type('2001:db8::ff/64')
  await page.keyboard.press('Enter')
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('wizard-apply').waitFor()
  await page.getByRole('columnheader', { name: 'IPv6', exact: true }).waitFor()
  assert.deepEqual(errors, [])
  await page.close()
})

function cellBox(page: Page, row: number, column: number) {
  return page
    .locator('.dsg-row')
    .nth(row + 1)
    .locator('.dsg-cell')
    .nth(column)
}

async function paste(page: Page, data: string): Promise<void> {
  await page.evaluate((plain) => {
    const clipboardData = new DataTransfer()
    clipboardData.setData('text/plain', plain)
    document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }))
  }, data)
}

/** Scrolls through all rows for a second and measures the frames. */
function scrollFrames(page: Page): Promise<{ count: number; longest: number }> {
  return page.evaluate(
    () =>
      new Promise<{ count: number; longest: number }>((resolve) => {
        const viewport = document.querySelector('.ag-grid-viewport') as HTMLElement
        const begin = performance.now()
        let last = begin
        let count = 0
        let longest = 0
        const frame = (now: number) => {
          longest = Math.max(longest, now - last)
          last = now
          count++
          viewport.scrollTop = ((now - begin) / 1000) * viewport.scrollHeight * 0.9
          if (now - begin < 1000) requestAnimationFrame(frame)
          else resolve({ count, longest: Math.round(longest) })
        }
        requestAnimationFrame(frame)
      }),
  )
}
