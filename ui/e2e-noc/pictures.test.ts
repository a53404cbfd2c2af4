// The pictures of the NOC's face in Chromium against the real programs: reports on screen, as a file and on paper, the map of a large
// fleet, strips and charts of an appliance that really beats.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Page, Route } from 'playwright-core'
import { examine, shoot } from './examine.ts'
import { ROWS, type Visitor, World } from './world.ts'

const SHOTS = process.env.SHOTS
/** A month that is over. */
const MONTH = '2025-11'
const START = Date.UTC(2025, 10, 1) / 1000
const DAY = 86_400

let world: World
before(async () => {
  world = await World.open()
  world.noc('queue', 'refresh', '--console', '1', '--wait', '55s')
  world.noc('queue', 'config', '--console', '1', world.macs[0] as string, '--wait', '55s')
  world.database((db) => {
    const bern = db.prepare("SELECT id FROM sites WHERE name = 'Bern'").get()?.id as number
    const rows = db.prepare('SELECT id FROM appliances WHERE site = ? ORDER BY id').all(bern)
    const insert = db.prepare(
      'INSERT INTO standings (site, appliance, since, until, standing) VALUES (?, ?, ?, ?, ?)',
    )
    for (const [n, row] of rows.entries()) {
      const id = row.id as number
      // Each third was silent, the longer the higher its number.
      const silent = n % 3 === 0 ? n + 1 : 0
      if (silent > 0) {
        insert.run(bern, id, START - DAY, START + 3 * DAY, 'in_service')
        insert.run(bern, id, START + 3 * DAY, START + 3 * DAY + silent, 'silent')
      }
      const since = silent > 0 ? START + 3 * DAY + silent : START - DAY
      insert.run(bern, id, since, START + 20 * DAY, 'in_service')
      insert.run(bern, id, START + 20 * DAY, START + 20 * DAY + 7_200, 'maintenance')
      insert.run(bern, id, START + 20 * DAY + 7_200, START + 40 * DAY, 'in_service')
    }
    db.exec(`INSERT INTO absences (began, ended) VALUES (${START + 9 * DAY}, ${START + 9 * DAY + 600})`)
  })
})
after(() => world.close())

async function as(
  login: string,
  path: string,
  scheme: 'light' | 'dark',
  work: (visitor: Visitor) => Promise<void>,
): Promise<void> {
  const visitor = await world.visitor(scheme)
  try {
    await visitor.signIn(login, path)
    await work(visitor)
    assert.deepEqual(visitor.errors, [], 'nothing against the content policy, nothing thrown')
  } finally {
    await visitor.context.close()
  }
}

const report = (page: Page) => page.getByTestId('availability')

for (const scheme of ['light', 'dark'] as const)
  test(`a month of ${ROWS} appliances, from all sites to the worst of one, ${scheme}`, async () => {
    await as('anna@acme', `/availability?month=${MONTH}`, scheme, async ({ page }) => {
      await report(page).getByText(ROWS.toLocaleString('en')).first().waitFor()
      await examine(page, `availability, ${scheme}`)
      await report(page).getByRole('button', { name: 'Bern', exact: true }).click()
      await page.getByTestId('availability-summary').waitFor()
      await examine(page, `availability of a site, ${scheme}`)
      // The worst is the last that was silent: for 10,000 of 2,584,200 seconds, when there are so many.
      const first = (await report(page).locator('[data-row]').first().textContent()) ?? ''
      const worst = ROWS - ((ROWS - 1) % 3)
      assert.ok(first.startsWith(`mail-${worst - 1}`), first)
      const clock = `${Math.floor(worst / 3600)}:${String(Math.floor(worst / 60) % 60).padStart(2, '0')}:${String(worst % 60).padStart(2, '0')}`
      assert.ok(first.includes(clock) && first.includes('2:00:00') && first.includes('0:10:00'), first)
      await page.getByTestId('sort-percent').click()
      await page.getByTestId('sort-percent').click()
      await report(page).getByText('100.000 %').first().waitFor()
    })
  })

test('the report is saved as a file, and printed without what is only for the screen', async () => {
  await as('anna@acme', `/availability?month=${MONTH}`, 'dark', async ({ page }) => {
    await report(page).getByRole('button', { name: 'Bern', exact: true }).click()
    await page.getByTestId('availability-summary').waitFor()
    const saved = page.waitForEvent('download')
    await page.getByTestId('availability-csv').click()
    const path = await (await saved).path()
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    assert.equal(lines.length, ROWS + 1)
    assert.match(lines[0] as string, /^month,site,host_name,serial,/)
    // What its vendor calls an appliance is run by no spreadsheet.
    assert.ok(lines.every((line) => !/,[=+@]/.test(line)))

    assert.equal(await page.getByTestId('sheet').count(), 0)
    await page.emulateMedia({ media: 'print' })
    const sheet = page.getByTestId('sheet')
    await sheet.waitFor()
    const text = (await sheet.textContent()) ?? ''
    for (const said of ['Availability report', 'Acme AG', 'Bern', 'November 2025', 'UTC, by ', 'not counted'])
      assert.ok(text.includes(said), said)
    assert.equal(await page.getByTestId('nav-alerts').isVisible(), false)
    assert.equal(await sheet.locator('tbody tr').count(), ROWS)
    const colours = await sheet.evaluate((element) => getComputedStyle(element).color)
    assert.equal(colours, 'rgb(0, 0, 0)', 'black on white, in the dark as well')
    await shoot(page, 'sheet of paper')
    const pdf = await page.pdf({ pageRanges: '1-2', preferCSSPageSize: true })
    assert.equal(pdf.subarray(0, 5).toString(), '%PDF-')
    if (SHOTS) writeFileSync(`${SHOTS}/availability.pdf`, pdf)
    await page.emulateMedia({ media: 'screen' })
    await page.getByTestId('nav-alerts').waitFor()
    assert.equal(await sheet.count(), 0)
  })
})

/** What only stands in the database never reported: here it says how it is. Runs in the page, whose certificate is known. */
function lively(): void {
  const { fetch } = window
  window.fetch = async (input, init) => {
    const answer = await fetch(input, init)
    if (!/\/v1\/appliances\?/.test(String(input instanceof Request ? input.url : input))) return answer
    const page = await answer.json()
    const healths = ['well', 'late', 'failing', 'maintenance', 'recovering']
    page.items.forEach((row: Record<string, unknown>, n: number) => {
      const serial = Number(String(row.serial).replace(/\D/g, '')) || n
      row.health = serial % 97 === 0 ? 'silent' : serial % 13 === 0 ? healths[serial % 5] : 'well'
      row.beat = {
        uptime_s: 1,
        load: ((serial * 7) % 50) / 10,
        memory_percent: (serial * 31) % 100,
        disk_percent: (serial / 100) % 100,
      }
    })
    return new Response(JSON.stringify(page), { status: answer.status, headers: answer.headers })
  }
}

for (const scheme of ['light', 'dark'] as const)
  test(`the map of ${ROWS} appliances is walked by keys and by pointer, ${scheme}`, async () => {
    await as('anna@acme', '/alerts', scheme, async ({ page }) => {
      await page.addInitScript(lively)
      await page.goto('/map')
      const map = page.getByTestId('heat-cells')
      await page.getByTestId('heat-silent').waitFor({ timeout: 60_000 })
      assert.equal(await map.getAttribute('aria-valuemax'), String(ROWS - 1))
      await examine(page, `map, ${scheme}`)
      const box = await map.boundingBox()
      assert.ok(box)
      await page.mouse.move(box.x + 300, box.y + 200)
      const tip = page.getByTestId('heat-tip')
      await tip.waitFor()
      const name = await tip.locator('strong').textContent()
      await shoot(page, `map, pointed at, ${scheme}`)
      await page.getByTestId('heat-silent').click()
      await shoot(page, `map, one state, ${scheme}`)
      await page.getByTestId('heat-by').selectOption('disk')
      await page.mouse.move(2, 2)
      await examine(page, `map, by disk, ${scheme}`)
      await map.focus()
      await page.keyboard.press('End')
      await page.keyboard.press('ArrowUp')
      assert.match(
        (await map.getAttribute('aria-valuetext')) ?? '',
        /, .+, (Well|Silent|Late|Failing|In maintenance), /,
      )
      await page.mouse.click(box.x + 300, box.y + 200)
      await page.getByTestId('appliance-page').waitFor()
      assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), name)
    })
  })

for (const scheme of ['light', 'dark'] as const)
  test(`an appliance that beats: its strip, and charts that are looked at closer, ${scheme}`, async () => {
    await as('root', '/?site=1&health=well', scheme, async ({ page }) => {
      await page.getByTestId('fleet').getByRole('link').first().waitFor({ timeout: 120_000 })
      await page.getByTestId('fleet').getByRole('link').first().click()
      const day = page.getByTestId('strip-day')
      await day.waitFor()
      await day.focus()
      await page.keyboard.press('End')
      assert.match((await day.getAttribute('aria-valuetext')) ?? '', /: (Arrived|Some missed)/)
      const charts = page.getByTestId('history-charts')
      await charts.locator('.uplot').first().waitFor()
      await page.getByText('3 h', { exact: true }).click()
      const before = await page.getByTestId('stretch').textContent()
      const plot = charts.locator('.u-over').first()
      await plot.scrollIntoViewIfNeeded()
      const box = await plot.boundingBox()
      assert.ok(box)
      await page.mouse.move(box.x + box.width * 0.5, box.y + 40)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * 0.75, box.y + 40, { steps: 5 })
      await page.mouse.up()
      await page.waitForFunction(
        (was) => document.querySelector('[data-testid=stretch]')?.textContent !== was,
        before,
      )
      assert.equal(await page.getByTestId('zoom-back').isDisabled(), false)
      await page.getByTestId('zoom-back').click()
      await page.locator('[data-testid=zoom-back][disabled]').waitFor()
      await page.mouse.move(2, 2)
      await examine(page, `appliance with pictures, ${scheme}`)

      // A fuller history than a test has the time for.
      await page.route(/\/v1\/appliances\/[^/]+\/(history|strip)/, synthetic)
      await page.reload()
      await charts.locator('.uplot').first().waitFor()
      await page.getByTestId('beat-strip').scrollIntoViewIfNeeded()
      await examine(page, `appliance with a history, ${scheme}`)
      await charts.scrollIntoViewIfNeeded()
      await page.evaluate(() => document.querySelector('[data-testid=history-charts]')?.scrollIntoView())
      await shoot(page, `charts, ${scheme}`)
      await page.getByTestId('strip-form').getByText('Tables').click()
      await page.getByRole('table', { name: 'Last 90 days' }).waitFor()
      await page.mouse.move(2, 2)
      await page.getByTestId('beat-strip').scrollIntoViewIfNeeded()
      await examine(page, `appliance with tables, ${scheme}`)
    })
  })

async function synthetic(route: Route): Promise<void> {
  const url = new URL(route.request().url())
  const now = Math.floor(Date.now() / 1000)
  if (url.pathname.endsWith('/strip')) {
    const cells = (cell_s: number, count: number) => ({
      cell_s,
      cells: Array.from({ length: count }, (_, n) => {
        const kind =
          n < count / 9 ? 5 : n % 31 === 0 ? 2 : n % 17 === 0 ? 1 : n % 41 < 2 ? 3 : n % 53 === 0 ? 4 : 0
        const state = ['arrived', 'missed_some', 'missed_all', 'maintenance', 'noc_away', 'not_expected'][
          kind
        ]
        const start = (Math.floor(now / cell_s) - count + 1 + n) * cell_s
        const silent_s = kind === 2 ? cell_s * 0.8 : kind === 1 ? cell_s * 0.2 : 0
        const beats = kind === 0 ? cell_s / 60 : 3
        return { start, state, beats, expected: cell_s / 60, silent_s, maintenance_s: 0, noc_away_s: 0 }
      }),
    })
    await route.fulfill({ json: { interval_s: 60, day: cells(900, 96), days: cells(DAY, 90) } })
    return
  }
  const [from, to] = [Number(url.searchParams.get('from')), Number(url.searchParams.get('to'))]
  const step = url.searchParams.get('resolution') === 'hour' ? 3600 : 300
  const stat = (mean: number, spread: number, increase?: number) => ({
    count: 5,
    min: mean - spread,
    mean,
    max: mean + spread,
    last: mean,
    increase,
  })
  const items = []
  for (let start = Math.ceil(from / step) * step; start <= to; start += step) {
    const day = (start % DAY) / DAY
    if (day > 0.3 && day < 0.34) continue
    const wave = Math.sin(day * 2 * Math.PI)
    items.push({
      start,
      beats: 5,
      host: {
        load: stat(1.2 + wave * 0.7, 0.3),
        memory_percent: stat(48 + wave * 9, 4),
        disk_percent: stat(61 + ((start / DAY) % 8), 0.4),
        temperature_c: stat(41 + wave * 3, 1.5),
      },
      counters: {
        mails_passed: stat(start % 1e6, 10, (900 + wave * 700) * (step / 3600)),
        queue: stat(20 + wave * 18, 6, 2),
      },
    })
  }
  await route.fulfill({ json: { items: items.slice(0, 1000) } })
}

for (const scheme of ['light', 'dark'] as const)
  test(`how a site is, ${scheme}`, async () => {
    await as('anna@acme', '/sites', scheme, async ({ page }) => {
      await page.getByTestId('sites').getByRole('link', { name: 'Overview of Bern' }).click()
      await page.addInitScript(lively)
      await page.reload()
      const overview = page.getByTestId('site-overview')
      await overview.getByTestId('heat-silent').waitFor({ timeout: 60_000 })
      await overview.getByText('This month').waitFor()
      await examine(page, `overview of a site, ${scheme}`)
    })
  })
