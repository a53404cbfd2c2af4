import { expect, test } from 'vitest'
import { usableLanguage } from './language.ts'

test('what Intl would refuse becomes English', () => {
  expect(usableLanguage('C')).toBe('en')
  expect(usableLanguage('')).toBe('en')
  expect(usableLanguage('de_DE')).toBe('en')
  expect(usableLanguage('pt-BR')).toBe('pt-BR')
})
