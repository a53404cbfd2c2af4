import { Plural, Trans } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import { useMemo } from 'react'
import type { CellError, PlanView } from '../../bindings.ts'
import { ApplicationReview, type ReviewedApplication } from '../../components/ApplicationReview.tsx'
import { LabelCodes, type Unclaimed } from '../../components/LabelCodes.tsx'
import { NeedsVouchers } from '../../components/NeedsVouchers.tsx'
import { PlanSheet } from '../../components/PlanSheet.tsx'
import { isCode } from '../../domain/labels.ts'
import { withPlan } from '../../domain/wizard.ts'
import { useSession } from '../../store/context.tsx'
import type { Draft } from '../../store/view.ts'
import classes from '../WizardPage.module.css'

interface Props {
  draft: Draft
  plan: PlanView
  errors: readonly CellError[]
  busy: boolean
  documents: readonly ReviewedApplication[]
  onChange: (part: Partial<Draft>) => void
  onPlanAgain: () => void
}

/** What the NOC says begins and ends in the middle of a sentence; here another one follows. */
function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}

/** What the policy proposes, to be changed at will. */
export function PlanStep({ draft, plan, errors, busy, documents, onChange, onPlanAgain }: Props) {
  const { fleet } = useSession()
  const owned = useMemo(() => plan.rows.filter((row) => row.ownership === 'owned' && !row.problem), [plan])
  const unclaimed = plan.rows
    .filter((row) => row.ownership === 'unclaimed')
    .map(
      ({ uid, mac, problem }): Unclaimed => ({
        uid,
        mac,
        serial: fleet.appliance(uid)?.serial ?? '',
        // Without a code there is nothing to complain about yet.
        problem: draft.codes.get(uid) ? problem?.message : undefined,
      }),
    )
  const vouchers = plan.rows.filter((row) => row.ownership === 'no_voucher')
  const refused = plan.rows.filter(
    (row) =>
      row.ownership !== 'unclaimed' &&
      row.ownership !== 'no_voucher' &&
      (row.ownership === 'other_site' || row.problem),
  )
  const ready = unclaimed.filter(({ uid }) => isCode(draft.codes.get(uid) ?? '')).length
  return (
    <>
      <div className={classes.column}>
        {refused.length > 0 ? (
          <div className={classes.notice} data-testid="left-out">
            <IconAlertTriangle size={16} aria-hidden />
            <div>
              <Plural
                value={refused.length}
                one="# appliance is left out:"
                other="# appliances are left out:"
              />{' '}
              {[
                ...new Set(
                  refused.map((row) =>
                    row.problem ? `${sentence(row.problem.message)} ${row.problem.remedy}` : row.mac,
                  ),
                ),
              ].join(' ')}
            </div>
          </div>
        ) : null}
        {vouchers.length > 0 ? (
          <div className={classes.notice} data-testid="needs-vouchers">
            <IconAlertTriangle size={16} aria-hidden />
            <div>
              <NeedsVouchers count={vouchers.length} />{' '}
              {[...new Set(vouchers.map((row) => row.problem?.message ?? row.mac))].join(' ')}
            </div>
          </div>
        ) : null}
        {unclaimed.length > 0 ? (
          <div className={classes.notice} data-testid="needs-codes">
            <IconAlertTriangle size={16} aria-hidden />
            <div>
              <Plural
                value={unclaimed.length}
                one="# appliance is left out until its label code is given."
                other="# appliances are left out until their label codes are given."
              />{' '}
              {ready > 0 ? (
                <Button
                  size="compact-xs"
                  ml={6}
                  loading={busy}
                  onClick={onPlanAgain}
                  data-testid="plan-again"
                >
                  <Trans>Plan again with {ready} codes</Trans>
                </Button>
              ) : null}
            </div>
          </div>
        ) : null}
        <PlanSheet
          plan={owned}
          rows={draft.rows}
          errors={errors}
          onChange={(rows) => onChange({ rows })}
          onReset={() => onChange({ rows: withPlan(plan, []) })}
        />
        <ApplicationReview rows={documents} />
      </div>
      {unclaimed.length > 0 ? (
        <LabelCodes appliances={unclaimed} codes={draft.codes} onChange={(codes) => onChange({ codes })} />
      ) : null}
    </>
  )
}
