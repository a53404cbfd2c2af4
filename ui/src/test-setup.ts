import { cleanup, configure } from '@testing-library/react'
import { afterEach, vi } from 'vitest'
import './texts.ts'

// happy-dom has no media queries or layout; Mantine and the grids ask for both.
vi.stubGlobal('matchMedia', (query: string) => ({
  matches: false,
  media: query,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
  addListener: () => undefined,
  removeListener: () => undefined,
}))

// Waiting ends with the event; this is how long a busy machine may take, not how long a test does.
configure({ asyncUtilTimeout: 15_000 })

afterEach(cleanup)
