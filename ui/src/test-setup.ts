import { cleanup } from '@testing-library/react'
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

afterEach(cleanup)
