import { createContext, type ReactNode, useContext, useSyncExternalStore } from 'react'
import type { Backend } from '../backend/backend.ts'
import type { StartView } from '../bindings.ts'
import type { Fleet, Snapshot } from './fleet.ts'
import type { ViewState } from './view.ts'

export interface Session {
  backend: Backend
  fleet: Fleet
  start: StartView
  view: ViewState
  /** Asks the engine for its state anew, after a NOC was joined or started. */
  restart: () => Promise<void>
}

const SessionContext = createContext<Session | null>(null)

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  return <SessionContext.Provider value={session}>{children}</SessionContext.Provider>
}

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (!session) throw new Error('no session: wrap this in SessionProvider')
  return session
}

/** Part of what the engine pushed; renders again when that part changes. `select` must return stored objects. */
export function useFleet<T>(select: (snapshot: Snapshot) => T): T {
  const { fleet } = useSession()
  return useSyncExternalStore(fleet.onChange, () => select(fleet.current()))
}
