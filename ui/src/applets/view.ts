// What the window is told of an applet.

/** One applet of a site. Every text of it is the vendor's: shown as text, never as markup. */
export interface AppletView {
  name: string
  version: string
  title: string
  description: string
  /** Which models it is for, `*` at the end alone; empty: all. */
  models: string[]
  permissions: string[]
  /** The JSON Schema of its settings. */
  form: unknown
  templates: { title: string; values: unknown }[]
  help: string
  hasPage: boolean
  /** `#rrggbb` */
  accent: string | null
  /** `data:image/png;base64,…` */
  logo: string | null
  /** Translations by source text. */
  texts: Record<string, string>
}

export interface ValueProblem {
  /** JSON pointer (RFC 6901). */
  path: string
  message: string
}

/** What the engine says of values: what is wrong, and the document that the grant would carry. */
export interface CheckedApplication {
  problems: ValueProblem[]
  text: string
  bytes: number
}
