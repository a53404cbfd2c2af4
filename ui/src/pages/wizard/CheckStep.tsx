import { useMemo, useRef } from 'react'
import type { CellError, PlanView } from '../../bindings.ts'
import { Findings } from '../../components/Findings.tsx'
import { PlanSheet, type SheetHandle } from '../../components/PlanSheet.tsx'
import { withPlan } from '../../domain/wizard.ts'
import type { Draft } from '../../store/view.ts'
import classes from '../WizardPage.module.css'

interface Props {
  draft: Draft
  plan: PlanView
  errors: readonly CellError[]
  checking: boolean
  stale: boolean
  onChange: (part: Partial<Draft>) => void
}

/** Every finding at its cell, and in a list that leads there. */
export function CheckStep({ draft, plan, errors, checking, stale, onChange }: Props) {
  const sheet = useRef<SheetHandle>(null)
  const owned = useMemo(() => plan.rows.filter((row) => row.ownership === 'owned' && !row.problem), [plan])
  const names = useMemo(
    () => new Map(draft.rows.map((row) => [row.uid, row.settings.host_name])),
    [draft.rows],
  )
  const macs = useMemo(() => new Map(plan.rows.map((row) => [row.uid, row.mac])), [plan])
  return (
    <>
      <div className={classes.column}>
        <PlanSheet
          ref={sheet}
          plan={owned}
          rows={draft.rows}
          errors={errors}
          onChange={(rows) => onChange({ rows })}
          onReset={() => onChange({ rows: withPlan(plan, []) })}
        />
      </div>
      <Findings
        errors={errors}
        checking={checking}
        stale={stale}
        nameOf={(uid) => names.get(uid) || macs.get(uid) || uid}
        onJump={({ uid, field }) => sheet.current?.jumpTo(uid, field)}
      />
    </>
  )
}
