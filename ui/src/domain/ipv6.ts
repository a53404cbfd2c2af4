// IPv6 as the NOC reads it: RFC 4291's forms, prefixes of 16 to 127 bits.

/** The address as a number, or null when the text is none. */
export function parseIp6(text: string): bigint | null {
  const trimmed = text.trim()
  const [head = '', tail, more] = trimmed.split('::')
  if (more !== undefined || !/^[0-9a-f:.]+$/i.test(trimmed)) return null
  const first = groupsOf(head, tail === undefined)
  const last = tail === undefined ? [] : groupsOf(tail, true)
  if (!first || !last) return null
  const gap = 8 - first.length - last.length
  if (tail === undefined ? gap !== 0 : gap < 1) return null
  return [...first, ...Array<number>(gap).fill(0), ...last].reduce((sum, g) => (sum << 16n) | BigInt(g), 0n)
}

/** RFC 5952: lower case, the longest run of zeros left out, the first of two as long. */
export function formatIp6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))
  let [at, length] = [-1, 1]
  for (let i = 0; i < 8; i++) {
    let run = 0
    while (i + run < 8 && groups[i + run] === 0) run++
    if (run > length) [at, length] = [i, run]
  }
  const hex = groups.map((group) => group.toString(16))
  if (at < 0) return hex.join(':')
  return `${hex.slice(0, at).join(':')}::${hex.slice(at + length).join(':')}`
}

export interface Network6 {
  address: bigint
  prefix: number
}

/** `2001:db8::10/64`; null when the text is no address with the length of its prefix. */
export function parseNetwork6(text: string): Network6 | null {
  const [address = '', prefix = '', more] = text.split('/')
  const ip = parseIp6(address)
  if (ip === null || more !== undefined || !/^\d{1,3}$/.test(prefix.trim()) || Number(prefix) > 128)
    return null
  return { address: ip, prefix: Number(prefix) }
}

/** The first address, which means every router of the network. */
export function firstOf({ address, prefix }: Network6): bigint {
  return (address >> BigInt(128 - prefix)) << BigInt(128 - prefix)
}

export function isLinkLocal(value: bigint): boolean {
  return value >> 118n === 0x3fan
}

/** Not `::`, loopback, multicast or an IPv4 address in IPv6 form. */
export function isUnicast6(value: bigint): boolean {
  return value > 1n && value >> 120n !== 0xffn && value >> 32n !== 0xffffn
}

/** The numbers between colons; the last may be an IPv4 address, which stands for two. */
function groupsOf(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else {
      const bytes = part.split('.')
      const isIpv4 =
        bytes.length === 4 && bytes.every((byte) => /^(0|[1-9]\d{0,2})$/.test(byte) && Number(byte) < 256)
      if (!isIpv4 || !mayEndInIpv4 || i !== parts.length - 1) return null
      const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number)
      groups.push(a * 256 + b, c * 256 + d)
    }
  }
  return groups
}
