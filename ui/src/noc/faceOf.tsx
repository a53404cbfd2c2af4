// The face with a NOC in memory, for tests.

import { render } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter } from 'react-router'
import { FakeNoc } from '../backend/fakeNoc.ts'
import type { Appliance, OwnSession, Role } from '../backend/noc.ts'
import { FaceApp } from './FaceApp.tsx'
import { routes } from './routes.tsx'

export const NOW = Math.floor(Date.now() / 1000)

/** A page of a list, the only one. */
export const list = (...items: unknown[]) => ({ items })

/** A configured appliance of the site 1 that is well. */
export function appliance(n: number, more: Partial<Appliance> = {}): Appliance {
  const settings = { domain: '', netmask: '/24', gateway: '', dns1: '', dns2: '' }
  return {
    organisation: 1,
    uid: `UID${n}`,
    mac: `02:00:00:00:00:0${n}`,
    serial: `SN${n}`,
    model: 'Mail',
    site: 1,
    settings: { ...settings, host_name: `mail-${n}`, address: `192.0.2.${n}` },
    provisioning: 'configured',
    health: 'well',
    last_beat: NOW,
    beat: null,
    ...more,
  }
}

/** Somebody with a role in the organisation 1, at a page. What every page asks for is there. */
export function openFace(path: string, role: Role, change?: (noc: FakeNoc) => void) {
  const roles = [{ organisation: 1, site: null, role }]
  const me: OwnSession = {
    session: {
      id: 1,
      operator: 1,
      kind: 'cookie',
      created: NOW,
      used: NOW,
      expires: NOW + 9_999,
      address: '192.0.2.1',
      program: 'Chromium',
    },
    operator: { id: 1, organisation: 1, login: 'anna@acme', name: 'Anna', created: 1, disabled: null, roles },
    csrf: 'x',
  }
  const noc = new FakeNoc(me)
  noc.things.set('/v1/organisations', list({ id: 1, handle: 'acme', name: 'Acme AG' }))
  noc.things.set('/v1/alerts', list())
  change?.(noc)
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(<FaceApp noc={noc} router={router} />)
  return { noc, user: userEvent.setup(), router }
}

/** What was asked of an address. */
export const sent = (noc: FakeNoc, method: string, path: string) =>
  noc.asked.filter((one) => one.method === method && one.path === path)
