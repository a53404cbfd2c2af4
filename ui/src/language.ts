// Imported before anything else. Under LANG=C WebKitGTK says that its language is "C", which no Intl function takes, and
// uPlot asks with it while it loads: the window would stay empty.

export function usableLanguage(language: string): string {
  try {
    return Intl.getCanonicalLocales(language)[0] ?? 'en'
  } catch {
    return 'en'
  }
}

const language = usableLanguage(navigator.language)
if (language !== navigator.language) {
  Object.defineProperty(navigator, 'language', { value: language, configurable: true })
  Object.defineProperty(navigator, 'languages', { value: [language], configurable: true })
}
