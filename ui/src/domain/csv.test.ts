import { expect, test } from 'vitest'
import { parseTable, safeCell, toTsv } from './csv.ts'

test('commas, semicolons and tabs; quotes, blank lines, a byte-order mark and any line end', () => {
  expect(parseTable('\uFEFFa,b\r\n"1,5","say ""x"""\r\n\r\nc, d ')).toEqual([
    ['a', 'b'],
    ['1,5', 'say "x"'],
    ['c', 'd'],
  ])
  expect(parseTable('a;b\n1;2')).toEqual([
    ['a', 'b'],
    ['1', '2'],
  ])
  expect(parseTable('a\tb,c')).toEqual([['a', 'b,c']])
  expect(parseTable('')).toEqual([])
})

test('a quote that never closes loses nothing and ends', () => {
  expect(parseTable('a,"b\nc')).toEqual([['a', 'b\nc']])
})

test('nothing that a stranger chose becomes a formula', () => {
  for (const text of ['=1+1', '+1', '-1', '@x', ' =1', '＝1']) expect(safeCell(text)).toBe(`'${text}`)
  expect(safeCell('\t=1')).toBe("' =1")
  expect(safeCell('mail-01')).toBe('mail-01')
  expect(
    toTsv([
      ['a\tb', '=x'],
      ['c', 'd\ne'],
    ]),
  ).toBe("a b\t'=x\nc\td e")
})
