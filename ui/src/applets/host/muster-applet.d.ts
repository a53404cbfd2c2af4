// What an applet's logic.js may use: the global `muster`, in a worker of its own. For vendors, and their editors:
// /// <reference path="muster-applet.d.ts" />

/** One of the appliances that the administrator has chosen. */
interface MusterAppliance {
  uid: string
  mac: string
  model: string
  /** Empty before it is configured. */
  host_name: string
}

/** What one appliance has, and what it reported last. */
interface MusterParameters extends MusterAppliance {
  domain: string
  address: string
  netmask: string
  gateway: string
  dns1: string
  dns2: string
  /** The application's counters and gauges by name, from its last beat. */
  counters: Record<string, number>
}

interface MusterProblem {
  /** JSON pointer (RFC 6901) of the value; empty for all of them. */
  path: string
  message: string
}

interface MusterEvent {
  /** `click` of a button or another element; `change` of a field. */
  type: 'click' | 'change'
  /** The element's `data-on`. */
  name: string
  /** The field's value, or the element's attribute `value`. A check box says `true` or `false`. */
  value: string
  /** Every field of the page that has a `name`. */
  fields: Record<string, string>
}

/** Markup whose values are escaped. */
interface MusterHtml {
  toString(): string
}

/**
 * Every promise may be rejected with an `Error` whose `name` is `not_permitted` (applet.json does not ask for it),
 * `unknown_appliance` (not one of those chosen), `invalid` (the message says what), `busy` or `failed`.
 */
declare const muster: {
  readonly version: 1
  /** What the window speaks, as `de`. */
  readonly language: string
  /** A text's translation, or the text itself. */
  text(source: string): string
  /** A template tag: values are escaped, lists are joined. */
  html(parts: TemplateStringsArray, ...values: unknown[]): MusterHtml
  /** Shows this instead of what the page shows: at most 2,500 elements and texts; the newest, ten times a second at most. */
  draw(html: string | MusterHtml): void
  /** Hears of `data-on="name"`. */
  on(name: string, handler: (event: MusterEvent) => void): void
  /** Other appliances were chosen, or one of them has new values. */
  onChange(handler: () => void): void
  /** Permission `appliances`. */
  appliances(): Promise<MusterAppliance[]>
  /** Permission `parameters`. */
  parameters(uid: string): Promise<MusterParameters>
  /** Permission `propose`: shows the values to the administrator, who takes them over or not. */
  propose(uid: string, values: Record<string, unknown>): Promise<{ shown: true }>
  /** What is wrong with values, by the applet's own form. */
  validate(values: Record<string, unknown>): Promise<MusterProblem[]>
  /** Permission `say`: one line beside the page, at most 500 characters. */
  say(text: string): Promise<void>
}
