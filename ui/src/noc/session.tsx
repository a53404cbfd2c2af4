import { createContext, type ReactNode, useContext } from 'react'
import type { Noc, Operator, OwnSession, Role } from '../backend/noc.ts'
import type { Live } from './live.ts'

export interface Face {
  noc: Noc
  me: OwnSession
  live: Live
  signOut: () => void
}

const FaceContext = createContext<Face | null>(null)

export function FaceProvider({ face, children }: { face: Face; children: ReactNode }) {
  return <FaceContext.Provider value={face}>{children}</FaceContext.Provider>
}

export function useFace(): Face {
  const face = useContext(FaceContext)
  if (!face) throw new Error('nobody is signed in: wrap this in FaceProvider')
  return face
}

const RANKS: Record<Role, number> = { viewer: 0, operator: 1, administrator: 2 }

/**
 * Whether somebody has a role at a place. The NOC decides; this only spares people buttons that it would refuse. Without an
 * organisation: whether they have it anywhere.
 */
export function may(
  operator: Operator,
  role: Role,
  organisation?: number,
  sites?: readonly number[],
): boolean {
  const has = operator.roles.filter((at) => RANKS[at.role] >= RANKS[role])
  if (organisation === undefined) return has.length > 0
  const whole = has.some(
    (at) => at.organisation === null || (at.organisation === organisation && at.site === null),
  )
  if (whole || sites === undefined || sites.length === 0) return whole
  return sites.every((site) => has.some((at) => at.organisation === organisation && at.site === site))
}
