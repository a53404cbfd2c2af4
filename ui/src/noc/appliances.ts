// All appliances of a place, kept up to date: for pictures that show each of them.

import { useCallback, useEffect, useRef, useState } from 'react'
import { type Appliance, type NocProblem, toNocProblem } from '../backend/noc.ts'
import { every } from '../backend/nocReports.ts'
import { useChanges } from './live.ts'
import { useFace } from './session.tsx'

/** Changes that come close together are drawn once. */
const SETTLE_MS = 250

/** Null until all are there. `fits` says which of changed rows belong to them; both keep their identity while they mean the same. */
export function useAppliances(
  query: Record<string, string>,
  fits: (row: Appliance) => boolean,
): { rows: readonly Appliance[] | null; problem: NocProblem | null } {
  const { noc } = useFace()
  const [rows, setRows] = useState<readonly Appliance[] | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const known = useRef(new Map<string, Appliance>())
  const asked = useRef(0)
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)

  const load = useCallback(() => {
    asked.current += 1
    const mine = asked.current
    every<Appliance>(noc, '/v1/appliances', query).then(
      (all) => {
        if (mine !== asked.current) return
        known.current = new Map(all.map((row) => [row.uid, row]))
        setRows(all)
        setProblem(null)
      },
      (reason: unknown) => mine === asked.current && setProblem(toNocProblem(reason)),
    )
  }, [noc, query])
  useEffect(() => {
    setRows(null)
    known.current = new Map()
    load()
  }, [load])
  useEffect(
    () => () => {
      asked.current += 1
      if (timer.current !== null) clearTimeout(timer.current)
    },
    [],
  )

  const show = () => {
    if (timer.current !== null) return
    timer.current = setTimeout(() => {
      timer.current = null
      setRows([...known.current.values()])
    }, SETTLE_MS)
  }
  useChanges((changes) => {
    if (changes === null) return load()
    for (const row of changes.appliances) {
      if (fits(row)) known.current.set(row.uid, row)
      else known.current.delete(row.uid)
    }
    // What changes while the first answer is on its way is in it, or is told again.
    if (changes.appliances.length > 0 && rows !== null) show()
  })
  return { rows, problem }
}
