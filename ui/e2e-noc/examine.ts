// axe on what a page shows; SHOTS=folder keeps a picture of it.

import assert from 'node:assert/strict'
import axe from 'axe-core'
import type { Page } from 'playwright-core'

const SHOTS = process.env.SHOTS

export async function shoot(page: Page, name: string): Promise<void> {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name.replaceAll(/[^a-z0-9]+/g, '-')}.png` })
}

export async function examine(page: Page, name: string): Promise<void> {
  await shoot(page, name)
  await page.evaluate(axe.source)
  const found = await page.evaluate(async () => {
    const result = await (globalThis as unknown as { axe: typeof axe }).axe.run()
    return result.violations.flatMap(({ id, nodes }) =>
      nodes
        .slice(0, 4)
        .map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary?.split('\n')[1] ?? ''}`),
    )
  })
  assert.deepEqual(found, [], 'axe found nothing')
}
