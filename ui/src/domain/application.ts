// Application settings as a person reads them: one line a value, whatever the vendor's document holds.

import { isControl } from './shown.ts'

/** One value of a document, and what was there before. */
export interface DocumentLine {
  /** Its place, as a JSON pointer. */
  at: string
  /** The names that lead to it; items of lists count from 1. */
  path: string[]
  /** Null: not there. */
  before: string | null
  after: string | null
}

/** More lines than a document of the greatest length has. */
const MOST = 500
const LONGEST = 4_000

/** The values of a document beside those of a former one; null when one of them is no JSON object. */
export function linesOf(after: string, before: string): { lines: DocumentLine[]; more: number } | null {
  const now = leaves(after)
  const then = leaves(before)
  if (!now || !then) return null
  const lines = [...new Map([...now, ...then]).entries()].map(([at, { path }]): DocumentLine => {
    return { at, path, before: then.get(at)?.text ?? null, after: now.get(at)?.text ?? null }
  })
  return { lines: lines.slice(0, MOST), more: Math.max(0, lines.length - MOST) }
}

interface Leaf {
  path: string[]
  text: string
}

function leaves(document: string): Map<string, Leaf> | null {
  const found = new Map<string, Leaf>()
  // On a list of its own: a document may be nested deeper than functions may call each other.
  const waiting: { value: unknown; at: string; path: string[] }[] = []
  try {
    const value: unknown = JSON.parse(document || '{}')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    waiting.push({ value, at: '', path: [] })
  } catch {
    return null
  }
  while (waiting.length > 0) {
    const { value, at, path } = waiting.pop() as (typeof waiting)[number]
    const inner =
      typeof value === 'object' && value !== null
        ? Object.entries(value).map(([name, one]) => ({
            value: one as unknown,
            at: `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
            path: [...path, Array.isArray(value) ? String(Number(name) + 1) : readable(name)],
          }))
        : []
    if (inner.length > 0) waiting.push(...inner.reverse())
    else if (at !== '')
      found.set(at, { path, text: readable(typeof value === 'string' ? value : JSON.stringify(value)) })
  }
  return found
}

/** A text of the document without characters that could disturb what is around it; lines stay lines. */
function readable(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
  return [...cut].map((c) => (c !== '\n' && c !== '\t' && isControl(c) ? '�' : c)).join('')
}

/** How many values a document has. */
export function countOf(document: string): number {
  return leaves(document)?.size ?? 0
}
