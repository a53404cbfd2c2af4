import { expect, test } from 'vitest'
import { NotValues, pointer, sameValues, toValues, valueAt, withValue } from './values.ts'

test('values from elsewhere are copied, and names that mean something are refused', () => {
  const given = JSON.parse('{"a":[1,{"b":"c"}],"d":true,"e":null}')
  const values = toValues(given)
  expect(JSON.stringify(values)).toBe('{"a":[1,{"b":"c"}],"d":true,"e":null}')
  expect(Object.getPrototypeOf(values)).toBeNull()
  for (const text of [
    '{"__proto__":{"acted":1}}',
    '{"a":{"__proto__":{"acted":1}}}',
    '{"a":[{"constructor":{"prototype":{"acted":1}}}]}',
    '{"prototype":1}',
    '[]',
    '1',
    '"text"',
    'null',
  ])
    expect(() => toValues(JSON.parse(text)), text).toThrow(NotValues)
  for (const data of [{ a: undefined }, { a: () => 1 }, { a: Number.NaN }, { a: 1n }, { a: Symbol('a') }])
    expect(() => toValues(data)).toThrow(NotValues)
  expect(({} as { acted?: number }).acted).toBeUndefined()
})

test('values are of a size that a form has', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(9)}1${'}'.repeat(9)}`)
  expect(() => toValues(deep)).toThrow('nested')
  expect(() => toValues({ a: Array.from({ length: 5000 }, () => 1) })).toThrow('more than')
})

test('one value is changed and the rest is shared, and no path reaches a prototype', () => {
  const before = toValues({ a: [{ b: 1 }, { b: 2 }], c: 'd' })
  const after = withValue(before, ['a', 1, 'b'], 3)
  expect(JSON.stringify(after)).toBe('{"a":[{"b":1},{"b":3}],"c":"d"}')
  expect(JSON.stringify(before)).toBe('{"a":[{"b":1},{"b":2}],"c":"d"}')
  expect(JSON.stringify(withValue(before, ['c'], undefined))).toBe('{"a":[{"b":1},{"b":2}]}')
  expect(JSON.stringify(withValue(undefined, ['x', 0, 'y'], true))).toBe('{"x":[{"y":true}]}')
  for (const path of [['__proto__', 'acted'], ['a', 0, 'constructor'], ['prototype']])
    expect(() => withValue(before, path, 1)).toThrow(NotValues)
  expect(valueAt(before, ['a', 1, 'b'])).toBe(2)
  expect(valueAt(before, ['toString'])).toBeUndefined()
  expect(({} as { acted?: number }).acted).toBeUndefined()
})

test('pointers are those of RFC 6901, and the order of names makes no other values', () => {
  expect(pointer(['a/b', 'm~n', 0])).toBe('/a~1b/m~0n/0')
  expect(sameValues({ a: 1, b: [2] }, { b: [2], a: 1 })).toBe(true)
  expect(sameValues({ a: 1 }, { a: '1' })).toBe(false)
})
