// Mantine writes its colours into a <style> element, which the content policy of the NOC forbids. A sheet made by script is
// none: it holds nothing but what this bundle says.

import {
  convertCssVariables,
  DEFAULT_THEME,
  deepMerge,
  defaultCssVariablesResolver,
  mergeMantineTheme,
} from '@mantine/core'
import { cssVariables, theme } from '../theme.ts'

export function adoptVariables(document: Document): void {
  const whole = mergeMantineTheme(DEFAULT_THEME, theme)
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(
    convertCssVariables(deepMerge(defaultCssVariablesResolver(whole), cssVariables(whole)), ':root'),
  )
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
}
