// The only script of an applet's frame. It starts the applet's logic in a worker, so that a loop without end holds up the
// worker and never the window (WebKitGTK runs frames in the window's own thread); draws what the worker sends, element by
// element from a short list; and passes messages between the worker and the window. Whatever comes from the worker is
// hostile: everything here is bounded, and nothing of it is taken for markup, style or code.

;(() => {
  const LONGEST = 65_536
  /** Messages of the worker in one second. The prelude sends a fifth of that: who sends more got past it. */
  const MOST = 120
  const MOST_NODES = 2500
  const DEEPEST = 24
  const LONGEST_CSS = 32_768
  const DRAW_EVERY_MS = 100
  const SVG = 'http://www.w3.org/2000/svg'

  const words = (text) => new Set(text.split(/\s+/))
  const HTML_ELEMENTS = words(
    'article aside section header footer div span p h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table caption thead tbody tfoot tr th td b strong i em small code pre br hr button input select option optgroup textarea label fieldset legend details summary figure figcaption meter progress time abbr sub sup',
  )
  const SVG_ELEMENTS = words('svg g path rect circle ellipse line polyline polygon text tspan title desc')
  const ATTRIBUTES = words(
    'class id title lang dir role name value placeholder type checked disabled readonly selected multiple rows cols min max low high optimum step for colspan rowspan scope open maxlength datetime data-on viewBox preserveAspectRatio width height x y x1 y1 x2 y2 dx dy cx cy r rx ry d points fill fill-opacity stroke stroke-width stroke-linecap stroke-linejoin stroke-opacity opacity transform text-anchor dominant-baseline font-size font-weight',
  )
  const INPUTS = words('text search number checkbox radio range date time')
  const PROPERTY =
    /^(color|background-color|opacity|fill|stroke|stroke-width|display|width|height|(min|max)-(width|height)|flex|flex-(.*)|order|gap|(row|column)-gap|(align|justify|place)-(.*)|grid-(template-columns|column|row|column-start|column-end|row-start|row-end)|margin|margin-(.*)|padding|padding-(.*)|border|border-(?!image)(.*)|font|font-(?!feature|variation|palette)(.*)|line-height|letter-spacing|text-(align|decoration|decoration-(.*)|transform|indent|overflow|wrap|wrap-(.*)|anchor)|white-space|white-space-(.*)|overflow|overflow-(x|y|wrap)|word-break|vertical-align|list-style|list-style-(type|position)|table-layout|box-sizing|cursor|float|clear|visibility)$/

  const given = JSON.parse(document.getElementById('applet').textContent)
  const page = document.getElementById('page')
  let port = null
  let worker = null
  let second = 0
  let inSecond = 0
  let pending = null
  let drawing = false
  let height = 0

  window.addEventListener('message', (event) => {
    if (port || event.source !== window.parent || event.ports.length !== 1) return
    port = event.ports[0]
    port.onmessage = ({ data }) => fromWindow(data)
  })
  for (const type of ['click', 'change']) page.addEventListener(type, (event) => happened(type, event))
  new ResizeObserver(() => {
    const now = Math.ceil(page.getBoundingClientRect().height)
    if (now === height) return
    height = now
    if (worker) tell({ height })
  }).observe(page)

  function fromWindow(text) {
    const message = JSON.parse(text)
    if ('hello' in message) {
      look(message.hello)
      start(message.hello)
    } else if ('look' in message) look(message.look)
    else worker?.postMessage(text)
  }

  function look({ scheme, accent }) {
    document.documentElement.dataset.scheme = scheme
    if (accent) document.documentElement.style.setProperty('--accent', accent)
  }

  function start({ language, texts }) {
    if (worker) return
    document.documentElement.lang = language
    try {
      dress(given.css)
    } catch (error) {
      end('drawing', error.message)
      return
    }
    const url = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
    // Each `import()` would be a task for the window's thread, and no prelude can take syntax away.
    if (/\bimport\b/.test(given.logic)) {
      end('crashed', 'logic.js has the word “import”: an applet loads nothing.')
      return
    }
    worker = new Worker(url(given.prelude))
    worker.onmessage = ({ data }) => fromWorker(data)
    worker.onmessageerror = () => end('message', 'A message cannot be read.')
    worker.onerror = (event) => {
      event.preventDefault()
      end('crashed', String(event.message ?? 'The logic does not start.'))
    }
    const hello = { language, texts, html: given.html, logic: given.logic ? url(given.logic) : '' }
    worker.postMessage(JSON.stringify({ hello }))
    tell({ started: true, height })
  }

  function fromWorker(text) {
    if (!worker) return
    const now = performance.now()
    if (now - second > 1000) {
      second = now
      inSecond = 0
    }
    inSecond += 1
    if (inSecond > MOST) end('flood', `More than ${MOST} messages in a second.`)
    else if (typeof text !== 'string') end('message', 'A message is no text.')
    else if (text.length > LONGEST) end('oversized', `A message of ${text.length} characters.`)
    else if (text.startsWith('{"draw":')) {
      pending = text
      drawSoon()
    } else if (text.startsWith('{"crash":')) end('crashed', String(JSON.parse(text).crash))
    // Marked, so that a worker cannot speak for the bridge.
    else port.postMessage(`w${text}`)
  }

  function drawSoon() {
    if (drawing) return
    drawing = true
    setTimeout(() => {
      drawing = false
      const text = pending
      pending = null
      if (!worker || text === null) return
      try {
        draw(JSON.parse(text).draw)
      } catch (error) {
        end('drawing', error.message)
      }
    }, DRAW_EVERY_MS)
  }

  function end(reason, message) {
    worker?.terminate()
    worker = null
    page.replaceChildren()
    tell({ ended: { reason, message: message.slice(0, 500) } })
  }

  function tell(message) {
    port?.postMessage(`b${JSON.stringify(message)}`)
  }

  function draw(children) {
    if (!Array.isArray(children)) throw new TypeError('A drawing is a list.')
    const whole = document.createDocumentFragment()
    let nodes = 0
    const add = (parent, child, depth, svg) => {
      nodes += 1
      if (nodes > MOST_NODES) throw new RangeError(`The page has more than ${MOST_NODES} elements and texts.`)
      if (depth > DEEPEST) throw new RangeError(`The page nests more than ${DEEPEST} elements.`)
      if (typeof child === 'string') {
        parent.append(child)
        return
      }
      if (!Array.isArray(child)) throw new TypeError('An element is a list.')
      const [name, attributes, ...rest] = child
      const isSvg = svg || name === 'svg'
      if (typeof name !== 'string' || !(isSvg ? SVG_ELEMENTS : HTML_ELEMENTS).has(name))
        throw new TypeError(`The page has a <${String(name).slice(0, 40)}>, which an applet may not draw.`)
      const element = isSvg ? document.createElementNS(SVG, name) : document.createElement(name)
      if (name === 'button') element.type = 'button'
      for (const [key, value] of Object.entries(attributes ?? {})) put(element, name, key, value)
      for (const one of rest) add(element, one, depth + 1, isSvg)
      parent.append(element)
    }
    for (const child of children) add(whole, child, 1, false)
    const focused = page.contains(document.activeElement) ? document.activeElement.id : ''
    page.replaceChildren(whole)
    if (focused) document.getElementById(focused)?.focus()
  }

  function put(element, name, key, value) {
    if (typeof value !== 'string' || value.length > 32_768 || /url\s*\(/i.test(value))
      throw new TypeError(`The value of “${key.slice(0, 40)}” is not one that an applet may draw.`)
    if (!ATTRIBUTES.has(key) && !/^aria-[a-z]{1,30}$/.test(key))
      throw new TypeError(`The page has the attribute “${key.slice(0, 40)}”, which an applet may not draw.`)
    if (key === 'type' && (name !== 'input' || !INPUTS.has(value)))
      throw new TypeError(`The page has a <${name}> of type “${value.slice(0, 40)}”.`)
    element.setAttribute(key, value)
  }

  /** The applet's style, rule by rule: what costs the window's thread more than a moment is not among it. */
  function dress(css) {
    if (!css) return
    if (css.length > LONGEST_CSS) throw new RangeError(`page.css has more than ${LONGEST_CSS} characters.`)
    const theirs = new CSSStyleSheet()
    theirs.replaceSync(css)
    const ours = new CSSStyleSheet()
    const take = (rule) => {
      if (!(rule instanceof CSSStyleRule) || rule.cssRules?.length)
        throw new TypeError('page.css has more than plain rules and @media.')
      const { selectorText, style } = rule
      if (
        selectorText.length > 300 ||
        /:has|:is|:where|:not|:root|:host|\bhtml\b|\bbody\b/.test(selectorText)
      )
        throw new TypeError(
          `page.css has the selector “${selectorText.slice(0, 60)}”, which an applet may not use.`,
        )
      for (const property of style)
        if (!PROPERTY.test(property))
          throw new TypeError(`page.css sets “${property.slice(0, 60)}”, which an applet may not.`)
      if (/url\s*\(|image|repeat\s*\(|\battr\s*\(/i.test(style.cssText) || style.length > 200)
        throw new TypeError(
          `page.css has a value in “${selectorText.slice(0, 60)}” that an applet may not use.`,
        )
      return `${selectorText}{${style.cssText}}`
    }
    for (const rule of theirs.cssRules) {
      if (rule instanceof CSSMediaRule)
        ours.insertRule(
          `@media ${rule.media.mediaText}{${[...rule.cssRules].map(take).join('')}}`,
          ours.cssRules.length,
        )
      else ours.insertRule(take(rule), ours.cssRules.length)
    }
    document.adoptedStyleSheets = [ours]
  }

  function happened(type, event) {
    const source = event.target instanceof Element ? event.target.closest('[data-on]') : null
    if (!worker || !source) return
    const isField = (one) => /^(INPUT|SELECT|TEXTAREA)$/.test(one.tagName)
    if ((type === 'click') === isField(source)) return
    const textOf = (field) =>
      field.type === 'checkbox' || (field.type === 'radio' && !field.checked)
        ? String(field.checked)
        : String(field.value ?? '').slice(0, 4096)
    const fields = {}
    for (const field of [...page.querySelectorAll('[name]')].filter(isField).slice(0, 100)) {
      if (field.type === 'radio' && !field.checked) continue
      Object.defineProperty(fields, field.getAttribute('name').slice(0, 64), {
        value: textOf(field),
        enumerable: true,
        configurable: true,
      })
    }
    const name = source.getAttribute('data-on').slice(0, 64)
    const value = isField(source) ? textOf(source) : (source.getAttribute('value') ?? '').slice(0, 4096)
    worker.postMessage(JSON.stringify({ event: { type, name, value, fields } }))
  }
})()
