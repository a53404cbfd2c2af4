// For the page tests: the whole app at a path, over the simulated site, many times faster than life.

import { render } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter } from 'react-router'
import { App } from '../App.tsx'
import { Fake } from '../backend/fake.ts'
import type { FakeOptions } from '../backend/fakeOptions.ts'
import type { ProblemView } from '../bindings.ts'
import { routes } from '../routes.tsx'

export function openAt(
  path: string,
  options: Partial<FakeOptions> = {},
  backend = new Fake({ appliances: 6, speed: 20, unclaimed: 0, ...options }),
) {
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  const view = render(<App backend={backend} router={router} />)
  const user = userEvent.setup()
  return {
    backend,
    router,
    user,
    close: () => {
      view.unmount()
      backend.close()
    },
  }
}

export const REFUSED: ProblemView = {
  code: 'refused_for_test',
  message: 'The test refused this.',
  remedy: 'Let it pass next time.',
}

export function refuse(): Promise<never> {
  return Promise.reject(REFUSED)
}
