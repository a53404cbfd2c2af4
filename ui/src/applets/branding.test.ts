import { expect, test } from 'vitest'
import { contrastOf, logoOf, readableAccent } from './branding.ts'

test('a vendor’s colour can be read in light and dark, whatever it is', () => {
  for (const accent of ['#ffffff', '#000000', '#ffff00', '#1f6feb', '#b3541e', '#1b2028', '#808080'])
    for (const [scheme, ground] of [
      ['light', '#ffffff'],
      ['dark', '#1b2028'],
    ] as const) {
      const readable = readableAccent(accent, scheme)
      expect(contrastOf(readable ?? '', ground), `${accent} in ${scheme}`).toBeGreaterThanOrEqual(4.5)
    }
  expect(readableAccent('#1f6feb', 'light')).toBe('#1f6feb')
  for (const wrong of [null, '', 'red', '#fff', '#1f6feb;color:red', 'url(x)'])
    expect(readableAccent(wrong, 'light')).toBeNull()
})

test('a logo is a picture in PNG or is left out', () => {
  expect(logoOf('data:image/png;base64,iVBORw0KGgo=')).toBe('data:image/png;base64,iVBORw0KGgo=')
  for (const wrong of [
    null,
    '',
    'https://example.net/logo.png',
    'data:image/svg+xml,<svg/>',
    'data:image/png;base64,"onload=',
    `data:image/png;base64,${'A'.repeat(200_000)}`,
  ])
    expect(logoOf(wrong)).toBeNull()
})
