// What runs in the applet's worker before the applet's own code: the whole of what it can ask for, as the global `muster`
// (its types: muster-applet.d.ts). Everything that a worker has of a network, of storage, of other workers and of making code
// out of text is taken away first. The content policy and the frame's opaque origin forbid it as well; here it is gone, so that
// nothing depends on one of them alone, and so that refusals do not pile up in the window's thread.

;(() => {
  const post = self.postMessage.bind(self)
  const listen = self.addEventListener.bind(self)
  const load = self.importScripts.bind(self)
  const later = self.setTimeout.bind(self)
  const now = performance.now.bind(performance)
  const { parse, stringify } = JSON
  const { min } = Math

  const LONGEST = 65_536
  /** Messages that may be sent at once, and how many more each second. The window ends who gets past this. */
  const BURST = 40
  const RATE = 20

  takeAway()
  let tokens = BURST
  let last = now()
  let crashed = false
  const waiting = new Map()
  let number = 0
  let texts = new Map()
  let language = 'en'
  const handlers = new Map()
  const changed = []
  let pending = null
  let drawing = false

  const muster = Object.freeze({
    version: 1,
    get language() {
      return language
    },
    text: (source) => texts.get(source) ?? source,
    html: (parts, ...values) =>
      new Html(parts.map((part, i) => part + (i < values.length ? escaped(values[i]) : '')).join('')),
    draw(html) {
      pending = treeOf(String(html))
      if (drawing) return
      drawing = true
      // The newest drawing, ten times a second at most.
      later(() => {
        drawing = false
        send({ draw: pending })
      }, 100)
    },
    on(name, handler) {
      handlers.set(String(name), handler)
    },
    onChange(handler) {
      changed.push(handler)
    },
    appliances: () => ask('appliances'),
    parameters: (uid) => ask('parameters', { uid: String(uid) }),
    propose: (uid, values) => ask('propose', { uid: String(uid), values }),
    validate: (values) => ask('validate', { values }),
    say: (text) => ask('say', { text: String(text) }),
  })
  Object.defineProperty(self, 'muster', { value: muster, enumerable: true })

  listen('message', (event) => {
    // An applet may dispatch events of its own making.
    if (!event.isTrusted) return
    const message = parse(event.data)
    if ('ping' in message) post(stringify({ pong: message.ping }))
    else if ('hello' in message) start(message.hello)
    else if ('event' in message) handlers.get(message.event.name)?.(message.event)
    else if ('changed' in message) for (const handler of changed) handler()
    else if ('id' in message) answered(message)
  })
  // A promise that nobody caught is told as an error is.
  listen('unhandledrejection', (event) => {
    if (!event.isTrusted || crashed) return
    crashed = true
    post(stringify({ crash: String(event.reason).slice(0, 500) }))
  })

  function start(hello) {
    language = hello.language
    texts = new Map(hello.texts)
    if (hello.html) muster.draw(hello.html)
    if (hello.logic) load(hello.logic)
  }

  function ask(what, rest) {
    number += 1
    const id = number
    return new Promise((resolve, reject) => {
      send({ id, ask: what, ...rest })
      waiting.set(id, { resolve, reject })
    })
  }

  function answered(message) {
    const asked = waiting.get(message.id)
    waiting.delete(message.id)
    if (!asked) return
    if (!('error' in message)) {
      asked.resolve(message.answer)
      return
    }
    const error = new Error(message.error.message)
    error.name = message.error.code
    asked.reject(error)
  }

  function send(message) {
    const text = stringify(message)
    if (text.length > LONGEST)
      throw new RangeError(`A message has ${text.length} characters: at most ${LONGEST} are taken.`)
    const at = now()
    tokens = min(BURST, tokens + ((at - last) / 1000) * RATE)
    last = at
    if (tokens < 1) throw new RangeError(`There are too many messages: at most ${RATE} a second are taken.`)
    tokens -= 1
    post(text)
  }

  function takeAway() {
    const GONE = [
      'postMessage',
      'importScripts',
      'close',
      'reportError',
      'onmessage',
      'onmessageerror',
      'onerror',
      'fetch',
      'Request',
      'Response',
      'XMLHttpRequest',
      'WebSocket',
      'WebSocketStream',
      'EventSource',
      'WebTransport',
      'RTCPeerConnection',
      'Worker',
      'SharedWorker',
      'BroadcastChannel',
      'MessageChannel',
      'MessagePort',
      'SharedArrayBuffer',
      'WebAssembly',
      'indexedDB',
      'IDBFactory',
      'caches',
      'CacheStorage',
      'cookieStore',
      'FileReader',
      'FileReaderSync',
      'createImageBitmap',
      'OffscreenCanvas',
      'FontFace',
      'fonts',
      'Notification',
      'navigator',
      'eval',
      'requestFileSystem',
      'webkitRequestFileSystem',
      'webkitRequestFileSystemSync',
    ]
    const LIMITED = ['setTimeout', 'setInterval']
    for (let holder = self; holder; holder = Object.getPrototypeOf(holder)) {
      for (const name of GONE) if (Object.hasOwn(holder, name)) replace(holder, name, undefined)
      for (const name of LIMITED)
        if (Object.hasOwn(holder, name)) {
          const real = holder[name].bind(self)
          replace(holder, name, (work, ...rest) => {
            if (typeof work !== 'function') throw new TypeError(`${name} takes a function`)
            return real(work, ...rest)
          })
        }
    }
    replace(URL, 'createObjectURL', undefined)
    // Code out of text: the policy refuses it, and would say so in the window's console, each time.
    for (const one of [() => {}, async () => {}, function* () {}, async function* () {}]) {
      const kind = Object.getPrototypeOf(one)
      const made = () => {
        throw new EvalError('An applet makes no code out of text.')
      }
      // `instanceof Function` still says what it did.
      made.prototype = kind
      replace(kind, 'constructor', made)
      if (kind === Object.getPrototypeOf(start)) replace(self, 'Function', made)
    }
    limitConsole()
  }

  /** What an applet writes to the console goes through the window's thread: some of it, shortened. */
  function limitConsole() {
    const real = self.console
    let left = 200
    const limited = {}
    for (const name of ['debug', 'log', 'info', 'warn', 'error']) {
      const write = real[name].bind(real)
      limited[name] = (...values) => {
        if (left <= 0) return
        left -= 1
        write(
          values
            .map((value) => String(value).slice(0, 1000))
            .join(' ')
            .slice(0, 2000),
        )
      }
    }
    replace(self, 'console', Object.freeze(limited))
  }

  function replace(holder, name, value) {
    Reflect.deleteProperty(holder, name)
    if (value !== undefined || name in holder)
      Object.defineProperty(holder, name, { value, writable: false, configurable: false })
  }

  class Html {
    #text
    constructor(text) {
      this.#text = text
    }
    toString() {
      return this.#text
    }
    static textOf(value) {
      return #text in value ? value.#text : null
    }
  }

  function escaped(value) {
    if (Array.isArray(value)) return value.map(escaped).join('')
    const made = typeof value === 'object' && value !== null ? Html.textOf(value) : null
    if (made !== null) return made
    const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
    return String(value ?? '').replace(/[&<>"']/g, (one) => ENTITIES[one])
  }

  /**
   * Markup as a tree: `[name, attributes, ...children]`, texts as they are. Here and not by the browser's parser, whose work can
   * grow with the square of the text, in the window's thread. What may be drawn is for the bridge to say.
   */
  function treeOf(html) {
    const VOID = new Set(['br', 'hr', 'input'])
    const NAMED = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }
    const plain = (text) =>
      text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (all, decimal, hex, name) => {
        if (name) return NAMED[name] ?? all
        const code = decimal ? Number(decimal) : Number.parseInt(hex, 16)
        return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd'
      })
    const NAME = /[a-zA-Z][a-zA-Z0-9-]*/y
    const ATTRIBUTE = /\s+([a-zA-Z][a-zA-Z0-9:_-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'))?/y
    const END = /\s*(\/?)>/y
    let at = 0
    const fail = (what) => {
      const line = html.slice(0, at).split('\n').length
      throw new SyntaxError(`Line ${line} of the page: ${what}`)
    }
    const match = (pattern) => {
      pattern.lastIndex = at
      const found = pattern.exec(html)
      if (found) at = pattern.lastIndex
      return found
    }
    const root = ['', {}]
    const open = [root]
    while (at < html.length) {
      const next = html.indexOf('<', at)
      const end = next < 0 ? html.length : next
      if (end > at) open[open.length - 1].push(plain(html.slice(at, end)))
      at = end
      if (at >= html.length) break
      if (html.startsWith('<!--', at)) {
        const close = html.indexOf('-->', at + 4)
        if (close < 0) fail('a comment has no end.')
        at = close + 3
        continue
      }
      const closing = html[at + 1] === '/'
      at += closing ? 2 : 1
      const [name] = match(NAME) ?? fail('“<” begins no element: write “&lt;”.')
      if (closing) {
        match(END) ?? fail(`</${name} has no “>”.`)
        if (open.length < 2 || open[open.length - 1][0] !== name) fail(`</${name}> closes what is not open.`)
        open.pop()
        continue
      }
      const attributes = Object.create(null)
      for (let found = match(ATTRIBUTE); found; found = match(ATTRIBUTE))
        attributes[found[1]] = plain(found[2] ?? found[3] ?? '')
      const [, closed] =
        match(END) ?? fail(`<${name} is not an element: values of attributes stand in quotes.`)
      const element = [name, attributes]
      open[open.length - 1].push(element)
      if (!closed && !VOID.has(name)) open.push(element)
    }
    if (open.length > 1) fail(`<${open[open.length - 1][0]}> is never closed.`)
    return root.slice(2)
  }
})()
