import { chromium } from 'playwright-core'
const b = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
const [,, url, name, scheme='light', ...acts] = process.argv
const p = await b.newPage({ viewport: { width: 1360, height: 820 }, colorScheme: scheme })
p.on('console', m => { if (['error','warning'].includes(m.type())) console.log(m.type(), m.text().slice(0,500)) })
p.on('pageerror', e => console.log('PAGEERROR', e.message, (e.stack||'').slice(0,600)))
await p.goto('http://127.0.0.1:4178/' + url)
await p.waitForTimeout(900)
for (const a of acts) {
  const [k, ...r] = a.split('='); const v = r.join('=')
  if (k === 'click') await p.getByTestId(v).first().click()
  if (k === 'clicktext') await p.getByText(v).first().click()
  if (k === 'wait') await p.waitForTimeout(+v)
  if (k === 'key') await p.keyboard.press(v)
  if (k === 'type') await p.keyboard.type(v)
  if (k === 'size') { const [w,h]=v.split('x'); await p.setViewportSize({width:+w,height:+h}) }
  if (k === 'shot') await p.screenshot({ path: `/tmp/ui-shots/${v}.png` })
}
await p.screenshot({ path: `/tmp/ui-shots/${name}.png` })
await b.close()
