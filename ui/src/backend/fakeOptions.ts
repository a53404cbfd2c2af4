// What the simulated site is like, and how its address says it.

/** Dispatched on the window, this event holds the simulated site still: for who looks at a page longer than a moment. */
export const HOLD = 'muster-hold'

export interface FakeOptions {
  appliances: number
  /** Begin at the first-start question. */
  first: boolean
  seed: number
  configured: number
  unclaimed: number
  unvouched: number
  /** Heard already, as after an earlier discovery. */
  heard: boolean
  /** How many times faster than life. */
  speed: number
  /** The NOC cannot be reached. */
  lost: boolean
  practice: boolean
  /** Messages of the NOC. */
  messages: number
  /** Every state and health there is, long names, conflicts. */
  awkward: boolean
  /** The site has an IPv6 pool. */
  ipv6: boolean
  /** Texts that would act if they were taken for more than texts. */
  hostile: boolean
  /** Application settings of the appliances that are configured from the start, by turns; one a line. */
  documents: string
  /** The site has the applets that ship as examples. */
  applets: boolean
  /** Where their pages are served, as `http://127.0.0.1:4180`; empty: from this page's own memory. */
  pages: string
  /** An applet that attacks in a way: the name of a file in e2e/applets, without its ending. */
  attack: string
  /** What the attacking applet may ask for, separated by commas. */
  may: string
  /** The example that the command line named, as `mail-gateway`; empty: none. */
  preview: string
}

export const DEFAULTS: FakeOptions = {
  appliances: 24,
  first: false,
  seed: 7,
  configured: 0,
  unclaimed: 0.1,
  unvouched: 0,
  heard: false,
  speed: 1,
  lost: false,
  practice: true,
  messages: 0,
  awkward: false,
  hostile: false,
  ipv6: false,
  documents: '',
  applets: false,
  pages: '',
  attack: '',
  may: '',
  preview: '',
}

/** The options of an address, as `?appliances=10000&heard=1`. */
export function optionsOf(search: string): FakeOptions {
  const query = new URLSearchParams(search)
  const number = (name: string, value: number) => Number(query.get(name) ?? value)
  const flag = (name: string, value: boolean) =>
    query.has(name) ? query.get(name) !== '0' && query.get(name) !== 'false' : value
  return {
    appliances: number('appliances', DEFAULTS.appliances),
    first: flag('first', DEFAULTS.first),
    seed: number('seed', DEFAULTS.seed),
    configured: number('configured', DEFAULTS.configured),
    unclaimed: number('unclaimed', DEFAULTS.unclaimed),
    unvouched: number('unvouched', DEFAULTS.unvouched),
    heard: flag('heard', DEFAULTS.heard),
    speed: number('speed', DEFAULTS.speed),
    lost: flag('lost', DEFAULTS.lost),
    practice: flag('practice', DEFAULTS.practice),
    messages: number('messages', DEFAULTS.messages),
    awkward: flag('awkward', DEFAULTS.awkward),
    hostile: flag('hostile', DEFAULTS.hostile),
    ipv6: flag('ipv6', DEFAULTS.ipv6),
    documents: query.get('documents') ?? DEFAULTS.documents,
    applets: flag('applets', DEFAULTS.applets),
    pages: query.get('pages') ?? DEFAULTS.pages,
    attack: query.get('attack') ?? DEFAULTS.attack,
    preview: query.get('preview') ?? DEFAULTS.preview,
    may: query.get('may') ?? DEFAULTS.may,
  }
}
