import { expect, test } from 'vitest'
import { isCode, readCodes } from './labels.ts'

const appliances = [
  { uid: 'AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA', mac: '00:1B:21:00:00:01', serial: 'SN1' },
  { uid: 'BBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB', mac: '00:1B:21:00:00:02', serial: '' },
]
const [a, b] = appliances.map(({ uid }) => uid) as [string, string]
const CODE = 'WXYZ-2345-ABCD-EFGH'
const OTHER = 'QRST-2345-ABCD-EFGH'

test('codes are matched by MAC, UID or serial, in any column order and notation', () => {
  expect(
    readCodes(`mac,claim\n00-1b-21-00-00-01,${CODE}\n${OTHER},${b.toLowerCase()}`, appliances, new Map())
      .codes,
  ).toEqual(
    new Map([
      [a, CODE],
      [b, OTHER],
    ]),
  )
  expect(readCodes(`SN1\t${CODE}`, appliances, new Map()).codes).toEqual(new Map([[a, CODE]]))
})

test('codes alone go to those without one, in order; the rest is told', () => {
  const read = readCodes(`${CODE}\n${OTHER}\n`, appliances, new Map([[a, 'KNOWN-CODE-ABCDEFGH']]))
  expect(read.codes).toEqual(new Map([[b, CODE]]))
  expect(read.surplus).toBe(1)
})

test('lines that fit nobody are told, never guessed', () => {
  const read = readCodes(`00:00:00:00:00:99,${CODE}\nhello\nSN1,short`, appliances, new Map())
  expect(read.codes.size).toBe(0)
  expect(read.unmatched).toEqual([`00:00:00:00:00:99, ${CODE}`, 'hello', 'SN1, short'])
})

test('a code has eighty bits at least', () => {
  expect(isCode('wxyz 2345 abcd efgh')).toBe(true)
  for (const text of ['', 'ABCD', 'WXYZ-2345-ABCD-EFG!', 'x'.repeat(65)])
    expect(isCode(text), text).toBe(false)
})
