// IPv4 as the NOC reads it: four decimal numbers, no leading zeros, netmasks of 8 to 30 bits.

/** The address as an unsigned number, or null when the text is none. */
export function parseIp(text: string): number | null {
  const parts = text.trim().split('.')
  if (parts.length !== 4) return null
  let value = 0
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    value = value * 256 + Number(part)
  }
  return value
}

export function formatIp(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** Loopback, multicast, 0.0.0.0 and 255.255.255.255 cannot be anybody's address. */
export function isUnicast(value: number): boolean {
  const first = Math.floor(value / 2 ** 24)
  return value !== 0 && first !== 127 && !(first >= 224 && first < 240) && value !== 2 ** 32 - 1
}

/** Prefix length of `255.255.255.0`, `/24` or `24`; null when the text is no netmask. */
export function parseNetmask(text: string): number | null {
  const trimmed = text.trim()
  const short = trimmed.startsWith('/') ? trimmed.slice(1) : trimmed
  if (/^\d{1,2}$/.test(short)) return Number(short) <= 32 ? Number(short) : null
  const bits = parseIp(trimmed)
  if (bits === null) return null
  for (let prefix = 0; prefix <= 32; prefix++) if (maskOf(prefix) === bits) return prefix
  return null
}

export function networkOf(ip: number, prefix: number): number {
  return ip - (ip % 2 ** (32 - prefix))
}

export function broadcastOf(ip: number, prefix: number): number {
  return networkOf(ip, prefix) + 2 ** (32 - prefix) - 1
}

function maskOf(prefix: number): number {
  return 2 ** 32 - 2 ** (32 - prefix)
}
