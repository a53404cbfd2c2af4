import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useRef, useState } from 'react'
import { type NocProblem, toNocProblem, type Versioned } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'

/** Something of the NOC that is edited as a whole. */
export interface Editing<T, F> {
  /** What the form began with. */
  begun: T
  form: F
  change: (form: F) => void
  isDirty: boolean
  isSaving: boolean
  isSaved: boolean
  problem: NocProblem | null
  save: () => void
  /** Somebody else has changed it meanwhile: the two ways out, until one is taken. */
  conflict: { onTheirs: () => void; onMine: () => void } | null
}

interface How<T, F> {
  toForm: (value: T) => F
  isSame: (a: F, b: F) => boolean
  /** Saves the form over the version with this tag. */
  put: (begun: T, form: F, tag: string) => Promise<Versioned<T>>
}

/** Edits `known`. What the form began with is kept: somebody else's change must not slip in below what is being typed. */
export function useEditing<T, F>(
  known: Versioned<T>,
  reload: () => void,
  { toForm, isSame, put }: How<T, F>,
): Editing<T, F> {
  const { t } = useLingui()
  const announce = useAnnounce()
  const [begun, setBegun] = useState(known)
  const [form, setForm] = useState(() => toForm(known.value))
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const [isSaved, setSaved] = useState(false)
  // What `known` was when the last answer to a change came: until it is read anew it is older than that answer.
  const old = useRef<Versioned<T> | null>(null)
  const isDirty = !isSame(form, toForm(begun.value))
  const isBehind = known.tag !== begun.tag && known !== old.current
  const begin = (now: Versioned<T>) => {
    setBegun(now)
    setForm(toForm(now.value))
  }
  if (isBehind && !isDirty && !isSaving) begin(known)

  const save = async (tag: string) => {
    setSaving(true)
    setSaved(false)
    try {
      const saved = await put(begun.value, form, tag)
      old.current = known
      begin(saved)
      setProblem(null)
      setSaved(true)
      announce(t`Saved.`)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
      reload()
    }
  }
  const onTheirs = () => {
    begin(known)
    setProblem(null)
  }
  const isConflict = isBehind && isDirty
  return {
    begun: begun.value,
    form,
    change: (next) => {
      setForm(next)
      setSaved(false)
    },
    isDirty,
    isSaving,
    isSaved: isSaved && !isDirty,
    problem: problem?.code === 'changed_meanwhile' && isBehind ? null : problem,
    save: () => void save(begun.tag),
    conflict: isConflict ? { onTheirs, onMine: () => void save(known.tag) } : null,
  }
}

/** Somebody else was faster: both ways out are said, and neither is taken unasked. */
export function Conflict({ onTheirs, onMine }: { onTheirs: () => void; onMine: () => void }) {
  const { t } = useLingui()
  const problem = {
    code: 'changed_meanwhile',
    message: t`Somebody else has changed this since you began.`,
    remedy: t`Show what they saved and enter yours again, or save yours over it.`,
  }
  return (
    <div data-testid="conflict">
      <ProblemAlert
        problem={problem}
        action={
          <div className={page.actions}>
            <Button variant="default" onClick={onTheirs} data-testid="conflict-theirs">
              <Trans>Show theirs</Trans>
            </Button>
            <Button variant="default" onClick={onMine} data-testid="conflict-mine">
              <Trans>Save mine over it</Trans>
            </Button>
          </div>
        }
      />
    </div>
  )
}
