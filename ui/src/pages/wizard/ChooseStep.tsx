import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Select } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import type { ColDef } from 'ag-grid-community'
import { useMemo } from 'react'
import type { ApplianceRow } from '../../bindings.ts'
import { applianceColumns } from '../../components/grid/applianceColumns.ts'
import { TableGrid } from '../../components/grid/TableGrid.tsx'
import { LabelCodes } from '../../components/LabelCodes.tsx'
import { NeedsVouchers } from '../../components/NeedsVouchers.tsx'
import { useFleet } from '../../store/context.tsx'
import type { Draft } from '../../store/view.ts'
import classes from '../WizardPage.module.css'

interface Props {
  draft: Draft
  rows: readonly ApplianceRow[]
  onChange: (part: Partial<Draft>) => void
}

const SHOWN = ['state', 'host_name', 'mac', 'maker', 'model', 'address', 'uid']

/** Which appliances, at which site; and the label codes of those that the inventory does not know. */
export function ChooseStep({ draft, rows, onChange }: Props) {
  const { t, i18n } = useLingui()
  const sites = useFleet((s) => s.sites)
  // The list as it was when the wizard opened: unchecking must not take the line away.
  // biome-ignore lint/correctness/useExhaustiveDependencies: fixed for the life of the step
  const listed = useMemo(() => rows, [])
  const columns = useMemo<ColDef<ApplianceRow>[]>(
    () => applianceColumns(i18n.locale).filter((column) => SHOWN.includes(column.colId)),
    [i18n.locale],
  )
  const selected = useMemo(() => new Set(draft.uids), [draft.uids])
  const unclaimed = rows.filter((row) => row.state === 'unclaimed')
  const vouchers = rows.filter((row) => row.state === 'no_voucher').length
  const again = rows.filter((row) => row.settings.address !== '').length
  const site = sites.find((one) => one.id === draft.site)
  return (
    <>
      <div className={classes.column}>
        <div className={classes.bar}>
          {sites.length > 1 ? (
            <Select
              label={t`Site`}
              data-testid="wizard-site"
              allowDeselect={false}
              data={sites.map((one) => ({ value: String(one.id), label: one.name }))}
              value={String(draft.site)}
              onChange={(value) => value && onChange({ site: Number(value), plan: null, rows: [] })}
            />
          ) : (
            <span>
              <span className="quiet">
                <Trans>Site</Trans>
              </span>{' '}
              <b>{site?.name}</b>
            </span>
          )}
          {site?.policy.map((line) => (
            <span key={line} className="quiet">
              {line}
            </span>
          ))}
        </div>
        {again > 0 ? (
          <div className={classes.notice}>
            <IconAlertTriangle size={16} aria-hidden />
            <Plural
              value={again}
              one="# appliance has settings already and gets new ones."
              other="# appliances have settings already and get new ones."
            />
          </div>
        ) : null}
        {vouchers > 0 ? (
          <div className={classes.notice} data-testid="needs-vouchers">
            <IconAlertTriangle size={16} aria-hidden />
            <div>
              <NeedsVouchers count={vouchers} />
            </div>
          </div>
        ) : null}
        <div className={classes.gridBox}>
          <TableGrid
            label={t`Chosen appliances`}
            rows={listed}
            idOf={(row) => row.uid}
            columns={columns}
            selected={selected}
            onSelect={(uids) =>
              onChange({ uids: listed.map((row) => row.uid).filter((uid) => uids.has(uid)) })
            }
          />
        </div>
      </div>
      {unclaimed.length > 0 ? (
        <LabelCodes appliances={unclaimed} codes={draft.codes} onChange={(codes) => onChange({ codes })} />
      ) : null}
    </>
  )
}
