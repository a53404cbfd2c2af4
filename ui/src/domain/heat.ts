// Where each cell of a heat map lies: groups beside each other on shelves, the cells of each in rows.

export interface Block {
  x: number
  y: number
  width: number
  columns: number
  /** The number of its first cell among all. */
  first: number
  count: number
}

export interface Layout {
  blocks: Block[]
  /** Of a cell with the gap beside it. */
  pitch: number
  height: number
}

/** Room for a group's name, and between groups. */
export const TITLE = 18
const GAP = 14
const NARROWEST = 90
const SIZES = [20, 18, 16, 14, 12, 11, 10, 9, 8, 7, 6] as const

/** The largest cells that fit, else the smallest. */
export function layOut(counts: readonly number[], width: number, height: number): Layout {
  for (const pitch of SIZES) {
    const layout = shelves(counts, width, pitch)
    if (layout.height <= height || pitch === SIZES.at(-1)) return layout
  }
  return shelves(counts, width, 6)
}

function shelves(counts: readonly number[], width: number, pitch: number): Layout {
  const most = Math.max(1, Math.floor(width / pitch))
  const blocks: Block[] = []
  let [x, y, tallest, first] = [0, 0, 0, 0]
  for (const count of counts) {
    // Wider than high, so that shelves stay low; the only group takes all of the width.
    const wanted = counts.length === 1 ? most : Math.ceil(Math.sqrt(count * 2.5))
    const columns = Math.max(1, Math.min(most, Math.max(wanted, Math.floor(NARROWEST / pitch))))
    const long = Math.max(NARROWEST, columns * pitch)
    if (x > 0 && x + long > width) {
      x = 0
      y += tallest + GAP
      tallest = 0
    }
    blocks.push({ x, y, width: long, columns, first, count })
    tallest = Math.max(tallest, TITLE + Math.ceil(count / columns) * pitch)
    x += long + GAP
    first += count
  }
  return { blocks, pitch, height: y + tallest }
}

/** Where a cell lies. */
export function placeOf({ blocks, pitch }: Layout, index: number): { x: number; y: number } | null {
  const block = blockOf(blocks, index)
  if (!block) return null
  const n = index - block.first
  return {
    x: block.x + (n % block.columns) * pitch,
    y: block.y + TITLE + Math.floor(n / block.columns) * pitch,
  }
}

/** Which cell lies there. */
export function cellAt({ blocks, pitch }: Layout, x: number, y: number): number | null {
  for (const block of blocks) {
    const column = Math.floor((x - block.x) / pitch)
    const row = Math.floor((y - block.y - TITLE) / pitch)
    if (column < 0 || column >= block.columns || row < 0) continue
    const n = row * block.columns + column
    if (n < block.count) return block.first + n
  }
  return null
}

/** Where a key leads to from a cell; the same when nowhere. */
export function step({ blocks }: Layout, index: number, key: string): number | null {
  const at = blocks.findIndex(({ first, count }) => index >= first && index < first + count)
  const block = blocks[at]
  const last = blocks.at(-1)
  if (!block || !last) return null
  const end = last.first + last.count - 1
  const n = index - block.first
  const within = (wanted: number) => Math.max(0, Math.min(end, wanted))
  /** The same column of another group. */
  const beside = (other: Block | undefined, isLast: boolean) => {
    if (!other) return index
    const column = Math.min(n % block.columns, other.columns - 1)
    const row = isLast ? Math.floor((other.count - 1) / other.columns) : 0
    return other.first + Math.min(other.count - 1, row * other.columns + column)
  }
  switch (key) {
    case 'ArrowLeft':
      return within(index - 1)
    case 'ArrowRight':
      return within(index + 1)
    case 'ArrowUp':
      return n >= block.columns ? index - block.columns : beside(blocks[at - 1], true)
    case 'ArrowDown':
      return n + block.columns < block.count ? index + block.columns : beside(blocks[at + 1], false)
    case 'PageUp':
      return blocks[at - 1]?.first ?? block.first
    case 'PageDown':
      return blocks[at + 1]?.first ?? end
    case 'Home':
      return 0
    case 'End':
      return end
    default:
      return null
  }
}

function blockOf(blocks: readonly Block[], index: number): Block | undefined {
  return blocks.find(({ first, count }) => index >= first && index < first + count)
}
