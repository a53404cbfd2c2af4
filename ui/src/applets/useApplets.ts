import { useEffect, useMemo, useRef, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { AppletView, ApplicationChecked, ProblemView } from '../bindings.ts'
import { useFleet, useSession } from '../store/context.tsx'
import {
  type Answered,
  type ApplicationDraft,
  type ChosenAppliance,
  documents,
  type Fitting,
  fitting,
  problemsOf,
  type Question,
  questions,
} from './settings.ts'
import type { Values } from './values.ts'

const DEBOUNCE_MS = 200

/** The applets of a site; none until they are known, and none when they cannot be read: everything works without them. */
export function useApplets(site: number | null): KnownApplets {
  const { backend } = useSession()
  const [known, setKnown] = useState(NONE)
  const generation = useFleet((snapshot) => snapshot.applets)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another generation is what there is to ask for
  useEffect(() => {
    if (site === null) {
      setKnown(NONE)
      return
    }
    let isCurrent = true
    // The same applets are the same objects: what somebody is typing into must not begin anew.
    const take = (next: KnownApplets) => {
      if (isCurrent) setKnown((last) => (JSON.stringify(last) === JSON.stringify(next) ? last : next))
    }
    const ask = () =>
      backend.applets(site, navigator.language).then(
        (applets) => take({ applets, problem: null }),
        (reason: unknown) => take({ applets: [], problem: toProblem(reason) }),
      )
    void ask()
    return () => {
      isCurrent = false
    }
  }, [backend, site, generation])
  return known
}

const NONE: KnownApplets = { applets: [], problem: null }

export interface KnownApplets {
  applets: AppletView[]
  problem: ProblemView | null
}

export interface Application {
  groups: Fitting[]
  /** The engine's newest answers, perhaps to values of a moment ago. */
  answered: readonly Answered[]
  /** Documents by appliance, of values that are in order. */
  documents: ReadonlyMap<string, string>
  /** True while the engine has not answered for the values as they are now. */
  checking: boolean
  /** How many problems there are; the same one of several appliances counts once. */
  problems: number
  /** What kept the engine from answering. */
  failure: ProblemView | null
}

/** What the chosen appliances' applets hold, checked by the engine a moment after it was changed. */
export function useApplication(
  site: number,
  applets: readonly AppletView[],
  appliances: readonly ChosenAppliance[],
  draft: ApplicationDraft,
): Application {
  const { backend } = useSession()
  const groups = useMemo(() => fitting(applets, appliances), [applets, appliances])
  const asked = useMemo(() => questions(groups, draft), [groups, draft])
  // Of several hundred appliances with values of their own, a change asks for those that it changed.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another site's applets judge otherwise
  const judged = useMemo(() => new WeakMap<AppletView, WeakMap<Values, ApplicationChecked>>(), [site])
  const [state, setState] = useState<{ of: typeof asked; answered: Answered[]; failure: ProblemView | null }>(
    {
      of: [],
      answered: [],
      failure: null,
    },
  )
  const first = useRef(true)
  useEffect(() => {
    let isCurrent = true
    const known = ({ applet, values }: Question) => judged.get(applet)?.get(values)
    const judge = async (question: Question) => {
      const { applet, values } = question
      const checked = known(question) ?? (await backend.checkApplication(site, applet.name, values))
      const of = judged.get(applet) ?? new WeakMap<Values, ApplicationChecked>()
      judged.set(applet, of.set(values, checked))
      return { question, checked }
    }
    const ask = async () => {
      try {
        const answered = await Promise.all(asked.map(judge))
        if (isCurrent) setState({ of: asked, answered, failure: null })
      } catch (reason) {
        if (isCurrent) setState({ of: asked, answered: [], failure: toProblem(reason) })
      }
    }
    // At once when there is nothing to wait for: nobody is typing yet.
    const isAtOnce = first.current || asked.every((question) => known(question) !== undefined)
    const timer = setTimeout(() => void ask(), isAtOnce ? 0 : DEBOUNCE_MS)
    if (asked.length > 0) first.current = false
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [backend, site, asked, judged])
  const isCurrent = state.of === asked
  const answered = isCurrent ? state.answered : NO_ANSWERS
  return {
    groups,
    // While new answers are awaited the old ones stay where they are shown, so that nothing flickers.
    answered: state.answered,
    documents: useMemo(() => documents(answered), [answered]),
    checking: asked.length > 0 && !isCurrent,
    problems: useMemo(
      () =>
        groups.reduce((sum, { applet, appliances }) => {
          const of = answered.filter(({ question }) => question.applet === applet)
          return sum + problemsOf(of, new Set(appliances.map(({ uid }) => uid))).length
        }, 0),
      [groups, answered],
    ),
    failure: isCurrent ? state.failure : null,
  }
}

const NO_ANSWERS: Answered[] = []
