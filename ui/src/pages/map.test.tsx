import { act, screen, waitFor } from '@testing-library/react'
import { expect, test } from 'vitest'
import { openAt } from './testing.tsx'

test('the map of the desktop shows what the store has, and opens what is looked at', async () => {
  const { user, router, close } = openAt('/', { appliances: 40, configured: 0.75, heard: true })
  await user.click(await screen.findByTestId('as-map'))
  expect(router.state.location.pathname).toBe('/map')
  const map = await screen.findByTestId('heat-cells')
  await waitFor(() => expect(map.getAttribute('aria-valuemax')).toBe('39'))
  expect(map.getAttribute('aria-valuetext')).toMatch(/Unconfigured: \d+, Well: \d+/)
  act(() => map.focus())
  await user.keyboard('{End}{Enter}')
  expect(router.state.location.pathname).toMatch(/^\/appliances\/.+/)
  close()
})

test('before anybody answered there is what to do', async () => {
  const { user, close } = openAt('/map', { appliances: 0 })
  await user.click(await screen.findByTestId('as-list'))
  expect(await screen.findByTestId('count-all')).toBeTruthy()
  close()
})
