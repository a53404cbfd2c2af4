import { Plural, useLingui } from '@lingui/react/macro'
import type { ColDef } from 'ag-grid-community'
import { useMemo } from 'react'
import type { Application } from '../../applets/useApplets.ts'
import type { PlanView, Settings } from '../../bindings.ts'
import { ApplicationReview, type ReviewedApplication } from '../../components/ApplicationReview.tsx'
import { fieldName } from '../../components/fields.ts'
import { changeCell } from '../../components/grid/changeCell.ts'
import { TableGrid } from '../../components/grid/TableGrid.tsx'
import { FIELDS, type Field, shownFields } from '../../domain/settings.ts'
import { useFleet } from '../../store/context.tsx'
import type { Draft } from '../../store/view.ts'
import classes from '../WizardPage.module.css'

interface Change {
  uid: string
  mac: string
  model: string
  current: Settings
  next: Settings
}

const WIDE: ReadonlySet<Field> = new Set(['host_name', 'domain', 'address6', 'gateway6'])

interface Props {
  draft: Draft
  plan: PlanView
  application: Application
  documents: readonly ReviewedApplication[]
}

/** What will be different, appliance by appliance, before anything is sent. */
export function ReviewStep({ draft, plan, application, documents }: Props) {
  const { t } = useLingui()
  const sites = useFleet((s) => s.sites)
  const changes = useMemo(() => {
    const planned = new Map(plan.rows.map((row) => [row.uid, row]))
    return draft.rows.flatMap(({ uid, settings }): Change[] => {
      const row = planned.get(uid)
      return row ? [{ uid, mac: row.mac, model: row.model, current: row.current, next: settings }] : []
    })
  }, [draft.rows, plan])
  const columns = useMemo<ColDef<Change>[]>(
    () => [
      { headerName: t`MAC`, field: 'mac', cellClass: 'mono', width: 150, pinned: 'left' },
      ...shownFields(changes.flatMap(({ current, next }) => [current, next])).map(
        (field): ColDef<Change> => ({
          colId: field,
          headerName: fieldName(field),
          valueGetter: ({ data }) => data?.next[field],
          cellRenderer: changeCell<Change>((row) => [row.current[field], row.next[field]]),
          tooltipValueGetter: ({ data }) =>
            data?.current[field] ? `${data.current[field]} → ${data.next[field]}` : data?.next[field],
          flex: WIDE.has(field) ? 3 : 2,
          minWidth: field.endsWith('6') ? 190 : 116,
        }),
      ),
    ],
    [t, changes],
  )
  const fresh = changes.filter((row) => row.current.address === '').length
  const same = changes.filter(({ current, next }) =>
    FIELDS.every((field) => current[field] === next[field]),
  ).length
  const changed = changes.length - fresh - same
  const left = draft.uids.length - changes.length
  const site = sites.find((one) => one.id === draft.site)?.name
  return (
    <div className={classes.column}>
      <div className={classes.bar} data-testid="review">
        {fresh > 0 ? (
          <b>
            <Plural
              value={fresh}
              one="# appliance gets its first settings"
              other="# appliances get their first settings"
            />
          </b>
        ) : null}
        {changed > 0 ? (
          <b className="warn">
            <Plural value={changed} one="# appliance changes" other="# appliances change" />
          </b>
        ) : null}
        {same > 0 ? (
          <b>
            <Plural value={same} one="# keeps its settings" other="# keep their settings" />
          </b>
        ) : null}
        {left > 0 ? (
          <b className="warn">
            <Plural value={left} one="# is left out" other="# are left out" />
          </b>
        ) : null}
        {application.documents.size > 0 ? (
          <b data-testid="review-application">
            <Plural
              value={application.documents.size}
              one="# appliance gets application settings"
              other="# appliances get application settings"
            />
          </b>
        ) : null}
        <span className="quiet">
          {/* Not `Trans`: it would take markup in a value for one of its own elements. */}
          {t`Site ${site}. An appliance that cannot be confirmed goes back to what it had, and is shown as failed.`}
        </span>
      </div>
      <div className={classes.gridBox}>
        <TableGrid label={t`Changes`} rows={changes} idOf={(row) => row.uid} columns={columns} />
      </div>
      <ApplicationReview rows={documents} />
    </div>
  )
}
