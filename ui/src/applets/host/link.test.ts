import { beforeEach, expect, test, vi } from 'vitest'
import type { Values } from '../values.ts'
import { type Answers, AppletLink, SILENT_AFTER_MS, START_WITHIN_MS } from './link.ts'
import { LONGEST, readMessage, tidy } from './messages.ts'

const told: unknown[] = []
const ended = vi.fn()
const height = vi.fn()
const answers = {
  appliances: vi.fn(() => [{ uid: 'A' }]),
  parameters: vi.fn((uid: string) => (uid === 'A' ? { address: '192.0.2.1' } : null)),
  propose: vi.fn((uid: string, _values: Values) => uid === 'A'),
  validate: vi.fn(async () => [{ path: '/a', message: 'wrong' }]),
  say: vi.fn(),
} satisfies Answers
beforeEach(() => {
  told.length = 0
  vi.clearAllMocks()
})

function link(permissions: string[] = ['appliances', 'parameters', 'propose', 'say']) {
  const port = { postMessage: (text: string) => told.push(JSON.parse(text)), close: vi.fn() }
  const made = new AppletLink(port, permissions, answers, { started: vi.fn(), height, ended }, 0)
  made.receive('b{"started":true}', 0)
  return made
}

const ask = (message: object) => `w${JSON.stringify({ id: 1, ...message })}`

test('what is asked is answered, and only about chosen appliances', async () => {
  const made = link()
  made.receive(ask({ ask: 'appliances' }), 0)
  made.receive(ask({ ask: 'parameters', uid: 'A' }), 0)
  made.receive(ask({ ask: 'parameters', uid: 'B' }), 0)
  made.receive(ask({ ask: 'propose', uid: 'A', values: { a: 1 } }), 0)
  made.receive(ask({ ask: 'propose', uid: 'B', values: {} }), 0)
  made.receive(ask({ ask: 'say', text: 'hello' }), 0)
  made.receive(ask({ ask: 'validate', values: {} }), 0)
  await vi.waitFor(() => expect(told).toHaveLength(7))
  expect(told).toEqual([
    { id: 1, answer: [{ uid: 'A' }] },
    { id: 1, answer: { address: '192.0.2.1' } },
    { id: 1, error: { code: 'unknown_appliance', message: 'It is not one of those chosen.' } },
    { id: 1, answer: { shown: true } },
    { id: 1, error: { code: 'unknown_appliance', message: 'It is not one of those chosen.' } },
    { id: 1, answer: null },
    { id: 1, answer: [{ path: '/a', message: 'wrong' }] },
  ])
  expect(answers.say).toHaveBeenCalledWith('hello')
})

test('without a permission nothing is asked of the window', () => {
  const made = link([])
  for (const one of ['appliances', 'parameters', 'propose', 'say'])
    made.receive(ask({ ask: one, uid: 'A', values: {}, text: 'x' }), 0)
  expect(told.map((one) => (one as { error: { code: string } }).error.code)).toEqual(
    Array.from({ length: 4 }, () => 'not_permitted'),
  )
  for (const asked of [answers.appliances, answers.parameters, answers.propose, answers.say])
    expect(asked).not.toHaveBeenCalled()
  expect(ended).not.toHaveBeenCalled()
})

test('a flood ends it, a steady pace does not', () => {
  const steady = link()
  for (let ms = 0; ms < 60_000; ms += 50) steady.receive('w{"pong":0}', ms)
  expect(ended).not.toHaveBeenCalled()
  const made = link()
  for (let i = 0; i < 1000; i++) made.receive(ask({ ask: 'appliances' }), 1)
  expect(ended).toHaveBeenCalledExactlyOnceWith('flood', '')
  expect(answers.appliances.mock.calls.length).toBeLessThan(200)
})

test('messages of other kinds are harmless, and many of them end it', () => {
  const kinds: unknown[] = [
    null,
    undefined,
    1,
    {},
    [],
    new ArrayBuffer(8),
    '',
    'w',
    'x{}',
    'w[]',
    'wnull',
    'w{"id":"1","ask":"appliances"}',
    'w{"id":1e400}',
    'b{"height":"tall"}',
    'b{"ended":{"reason":"__proto__","message":""}}',
    'b{"ended":null}',
    'w{"started":true}',
    'w{"ended":{"reason":"crashed","message":""}}',
  ]
  for (const data of kinds) expect(readMessage(data).kind, String(data)).toBe('wrong')
  const made = link()
  for (const data of kinds) made.receive(data, 0)
  expect(ended).not.toHaveBeenCalled()
  for (const data of kinds.slice(0, 5)) made.receive(data, 0)
  expect(ended).toHaveBeenCalledExactlyOnceWith('message', '')
  made.receive(ask({ ask: 'appliances' }), 0)
  expect(answers.appliances).not.toHaveBeenCalled()
})

test('a large message ends it', () => {
  const made = link()
  made.receive(`w${'x'.repeat(LONGEST)}`, 0)
  expect(ended).not.toHaveBeenCalled()
  made.receive(`w${'x'.repeat(LONGEST + 1)}`, 0)
  expect(ended).toHaveBeenCalledExactlyOnceWith('oversized', '')
})

test('values that would pollute are refused with their name', () => {
  const made = link()
  made.receive('w{"id":1,"ask":"propose","uid":"A","values":{"__proto__":{"acted":1}}}', 0)
  expect(told).toEqual([
    { id: 1, error: { code: 'invalid', message: 'The name “__proto__” is not allowed.' } },
  ])
  expect(answers.propose).not.toHaveBeenCalled()
  expect(({} as { acted?: number }).acted).toBeUndefined()
})

test('silence ends it, a computer that slept does not', () => {
  const made = link()
  made.tick(1000)
  expect(told).toEqual([{ ping: 1 }])
  made.receive('w{"pong":1}', 1500)
  made.tick(2000)
  expect(told).toHaveLength(2)
  // Asleep for an hour: the answer may still come.
  made.tick(3_600_000)
  expect(ended).not.toHaveBeenCalled()
  made.receive('w{"pong":2}', 3_600_001)
  for (let ms = 3_601_000; ms < 3_602_000 + SILENT_AFTER_MS; ms += 1000) made.tick(ms)
  expect(ended).not.toHaveBeenCalled()
  made.tick(3_603_000 + SILENT_AFTER_MS)
  expect(ended).toHaveBeenCalledExactlyOnceWith('silent', '')
})

test('an old pong is no answer', () => {
  const made = link()
  made.tick(1000)
  made.receive('w{"pong":7}', 1001)
  for (let ms = 2000; ms <= 2000 + SILENT_AFTER_MS; ms += 1000) made.tick(ms)
  expect(ended).toHaveBeenCalledExactlyOnceWith('silent', '')
})

test('a page that never starts is ended', () => {
  const port = { postMessage: () => undefined, close: vi.fn() }
  const made = new AppletLink(port, [], answers, { started: vi.fn(), height, ended }, 0)
  for (let ms = 1000; ms <= START_WITHIN_MS; ms += 1000) made.tick(ms)
  expect(ended).not.toHaveBeenCalled()
  made.tick(START_WITHIN_MS + 1000)
  expect(ended).toHaveBeenCalledExactlyOnceWith('start', '')
  expect(port.close).toHaveBeenCalled()
})

test('too many validations at once are refused, a failed one tells nothing of why', async () => {
  const made = link()
  let fail = (_: unknown) => {}
  answers.validate.mockImplementation(
    () =>
      new Promise((_, no) => {
        fail = no
      }),
  )
  for (let i = 0; i < 5; i++) made.receive(ask({ ask: 'validate', values: {} }), 0)
  expect(told).toEqual([
    { id: 1, error: { code: 'busy', message: 'Other values are being checked: wait for the answer.' } },
  ])
  fail(new Error('https://127.0.0.1:8443 refused the connection'))
  await vi.waitFor(() => expect(told).toHaveLength(2))
  expect(JSON.stringify(told)).not.toContain('8443')
})

test('what is said is one short line, and turns nothing around', () => {
  expect(tidy('a\nb\u202ec\u0000d')).toBe('a b c d')
  expect(tidy('x'.repeat(2000))).toHaveLength(500)
  expect(tidy(undefined)).toBe('')
})

test('heights are of a size that a page has', () => {
  const made = link()
  made.receive('b{"height":1e9}', 0)
  made.receive('b{"height":-5}', 0)
  expect(height.mock.calls).toEqual([[1200], [40]])
})
