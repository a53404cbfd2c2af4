import { expect, test } from 'vitest'
import { HOSTILE } from '../backend/hostile.ts'
import { countOf, linesOf } from './application.ts'

test('a document is a line for each value, beside what was there before', () => {
  const after = '{"a":{"b/c":[1,{"d":true}],"e":[]},"f":"two\\nlines","g":null}'
  const before = '{"a":{"b/c":[2]},"h":"gone"}'
  const shown = linesOf(after, before)?.lines.map(({ at, path, before, after }) => [
    at,
    path.join(' › '),
    before,
    after,
  ])
  expect(shown).toEqual([
    ['/a/b~1c/0', 'a › b/c › 1', '2', '1'],
    ['/a/b~1c/1/d', 'a › b/c › 2 › d', null, 'true'],
    ['/a/e', 'a › e', null, '[]'],
    ['/f', 'f', null, 'two\nlines'],
    ['/g', 'g', null, 'null'],
    ['/h', 'h', 'gone', null],
  ])
  expect([countOf(after), countOf(''), countOf('{}')]).toEqual([5, 0, 0])
})

test('what is no object is no document, and none is an empty one', () => {
  for (const text of ['[]', '7', '"a"', 'null', '{"a":']) expect(linesOf(text, ''), text).toBeNull()
  expect(linesOf('', '')).toEqual({ lines: [], more: 0 })
})

test('any name and text comes out as itself, and none disturbs what is around it', () => {
  const document = `{${HOSTILE.map((text, i) => `${JSON.stringify(`${text}${i}`)}:${JSON.stringify(text)}`).join()},"__proto__":{"acted":1},"turned":"\u202eabc\\u0000"}`
  const lines = linesOf(document, '')?.lines ?? []
  expect(lines.map(({ after }) => after)).toEqual([...HOSTILE, '1', '�abc�'])
  expect(lines.map(({ at }) => at)).toContain('/__proto__/acted')
  expect(({} as { acted?: number }).acted).toBeUndefined()
})

test('long, wide and deep documents are cut and not choked on', () => {
  const deep = `${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}`
  expect(linesOf(deep, '')?.lines).toHaveLength(1)
  const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`key ${i}`, i])))
  expect(linesOf(wide, '')).toMatchObject({ more: 200 })
  const long = linesOf(JSON.stringify({ a: 'x'.repeat(100_000) }), '')?.lines[0]?.after
  expect(long).toHaveLength(4_001)
})
