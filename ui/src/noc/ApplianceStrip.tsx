import { useCallback, useEffect } from 'react'
import { BeatStrip } from '../components/BeatStrip.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useNow } from '../components/useNow.ts'
import type { Strip } from '../domain/strip.ts'
import { useLoaded } from './loading.ts'
import { useFace } from './session.tsx'

const NEVER = () => false

/** What arrived of an appliance's beats and what did not; anew each minute. */
export function ApplianceStrip({ uid }: { uid: string }) {
  const { noc } = useFace()
  const load = useCallback(
    () => noc.get<Strip>(`/v1/appliances/${encodeURIComponent(uid)}/strip`),
    [noc, uid],
  )
  const { value, problem, reload } = useLoaded(load, NEVER)
  const now = useNow(60)
  // biome-ignore lint/correctness/useExhaustiveDependencies: time goes on
  useEffect(reload, [reload, now])
  if (problem) return <ProblemAlert problem={problem} />
  return value ? <BeatStrip strip={value} /> : null
}
