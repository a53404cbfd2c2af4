// The frame's document, as text: what the desktop app serves under its own scheme, for a development page and the tests.

import bridge from './bridge.js?raw'
import template from './page.template?raw'
import policy from './policy.txt?raw'
import prelude from './prelude.js?raw'

/** The applet's own files. */
export interface PageFiles {
  html: string
  css: string
  logic: string
}

/** As src-tauri/src/applet_page.rs puts it together, but with the policy in the document: a `blob:` has no headers. */
export async function documentOf(files: PageFiles): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(bridge))
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)))
  const applet = JSON.stringify({ ...files, prelude }).replaceAll('<', '\\u003c')
  const directives = policy.trim().replace('{bridge}', hash)
  const meta = `<meta http-equiv="Content-Security-Policy" content="${directives.replace(/; sandbox[^;]*/, '')}">`
  return template
    .replace('<meta charset="utf-8">', () => `<meta charset="utf-8">${meta}`)
    .replace('{applet}', () => applet)
    .replace('{bridge}', () => bridge)
}
