// The library of applets of an organisation.

export type AppletChannelName = 'stable' | 'test'

export interface LibraryVersion {
  version: string
  /** Its author's public key, base64. */
  author: string
  bytes: number
  published: number
  withdrawn: number | null
}

export interface LibraryChannel {
  channel: AppletChannelName
  version: string
  /** What those consoles have that are not among the `percent`. */
  former: string | null
  percent: number
}

export interface LibraryPlace {
  site: number | null
  console: number | null
  channel: AppletChannelName | 'none'
}

export interface LibraryApplet {
  name: string
  title: string
  /** The latest first. */
  versions: LibraryVersion[]
  channels: LibraryChannel[]
  /** The lowest version that may still be used. */
  floor: string | null
  places: LibraryPlace[]
}

export interface AppletAuthor {
  id: number
  name: string
  key: string
  added: number
}

/** The longest signed bundle, bytes; what is longer is not worth sending. */
export const LONGEST_BUNDLE = (1 << 20) + (48 << 10)

/** A file as the interface takes it. */
export function toBase64(bytes: Uint8Array): string {
  // In parts: a function takes only so many arguments.
  const part = 0x8000
  let text = ''
  for (let at = 0; at < bytes.length; at += part)
    text += String.fromCharCode(...bytes.subarray(at, at + part))
  return btoa(text)
}
