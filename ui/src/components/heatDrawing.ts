// A heat map on a canvas. States differ by how a cell is filled, not by colour alone.

import { type Layout, TITLE } from '../domain/heat.ts'
import type { Tone } from './badge.ts'
import type { HeatCell, HeatGroup } from './HeatMap.tsx'

export interface Palette {
  tones: Record<Tone, { strong: string; soft: string }>
  page: string
  text: string
  line: string
  scale: string
}

interface Drawing {
  width: number
  layout: Layout
  groups: readonly HeatGroup[]
  /** `state`, or the name of a value. */
  by: string
  /** Others than this state are faint. */
  only: string | null
  /** The cell that is looked at. */
  at: number | null
  palette: Palette
}

const FONT = '600 11.5px "Inter Variable", sans-serif'

export function draw(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const context = canvas.getContext?.('2d')
  if (!context) return
  const { width, layout, groups, by, only, at, palette } = drawing
  const scale = window.devicePixelRatio || 1
  canvas.width = Math.round(width * scale)
  canvas.height = Math.round(layout.height * scale)
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, layout.height)
  context.textBaseline = 'middle'
  const size = layout.pitch - (layout.pitch > 8 ? 2 : 1)
  groups.forEach((group, n) => {
    const block = layout.blocks[n]
    if (!block) return
    context.globalAlpha = 1
    context.font = FONT
    context.fillStyle = palette.text
    context.fillText(clipped(context, group.title, block.width), block.x, block.y + TITLE / 2 - 1)
    group.cells.forEach((cell, m) => {
      const x = block.x + (m % block.columns) * layout.pitch
      const y = block.y + TITLE + Math.floor(m / block.columns) * layout.pitch
      context.globalAlpha = only === null || only === cell.state ? 1 : 0.14
      if (by === 'state') drawState(context, cell, x, y, size, palette)
      else drawValue(context, cell, by, x, y, size, palette)
      if (block.first + m === at) {
        context.globalAlpha = 1
        context.lineWidth = 2
        context.strokeStyle = palette.text
        context.strokeRect(x - 1, y - 1, size + 2, size + 2)
      }
    })
  })
}

/** Well is calm; what is wrong is dark and crossed; what is about to be is half filled. */
function drawState(
  context: CanvasRenderingContext2D,
  { tone, icon }: HeatCell,
  x: number,
  y: number,
  size: number,
  palette: Palette,
): void {
  const { strong, soft } = palette.tones[tone]
  const outer = context.globalAlpha
  switch (tone) {
    case 'good':
      context.globalAlpha = outer * 0.5
      context.fillStyle = strong
      context.fillRect(x, y, size, size)
      context.globalAlpha = outer
      return
    case 'bad':
      context.fillStyle = strong
      context.fillRect(x, y, size, size)
      if (size >= 6) {
        context.strokeStyle = palette.page
        context.lineWidth = Math.max(1, size / 8)
        context.beginPath()
        const line = (fromX: number, fromY: number, toX: number, toY: number) => {
          context.moveTo(x + size * fromX, y + size * fromY)
          context.lineTo(x + size * toX, y + size * toY)
        }
        // Silent is crossed out; failing has a mark; unreachable a bar.
        if (icon === 'warning') line(0.5, 0.2, 0.5, 0.8)
        else if (icon === 'dash') line(0.2, 0.5, 0.8, 0.5)
        else {
          line(0.25, 0.25, 0.75, 0.75)
          line(0.75, 0.25, 0.25, 0.75)
        }
        context.stroke()
      }
      return
    case 'warn':
      context.fillStyle = soft
      context.fillRect(x, y, size, size)
      context.fillStyle = strong
      context.beginPath()
      context.moveTo(x, y + size)
      context.lineTo(x + size, y)
      context.lineTo(x + size, y + size)
      context.fill()
      return
    case 'info':
      context.fillStyle = soft
      context.fillRect(x, y, size, size)
      context.fillStyle = strong
      context.fillRect(x, y + size / 2, size, size / 2)
      return
    case 'idle':
      context.strokeStyle = strong
      context.globalAlpha = outer * 0.6
      context.lineWidth = 1
      context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1)
      context.globalAlpha = outer
  }
}

function drawValue(
  context: CanvasRenderingContext2D,
  cell: HeatCell,
  by: string,
  x: number,
  y: number,
  size: number,
  palette: Palette,
): void {
  const value = cell.values[by]
  if (value === undefined) {
    context.strokeStyle = palette.line
    context.lineWidth = 1
    context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1)
    return
  }
  context.globalAlpha *= 0.08 + 0.92 * Math.max(0, Math.min(1, value))
  context.fillStyle = palette.scale
  context.fillRect(x, y, size, size)
}

function clipped(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text
  let end = text.length
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1
  return `${text.slice(0, end)}…`
}
