import { t } from '@lingui/core/macro'
import type { ColDef } from 'ag-grid-community'
import type { JobItemView } from '../../bindings.ts'
import { partOf } from '../../domain/job.ts'
import { stepBadge } from '../badge.ts'
import { badgeCell, barCell } from './cells.ts'

/** How a job's appliances are listed; the bars only while it runs. */
export function jobColumns(running: boolean): ColDef<JobItemView>[] {
  return [
    {
      headerName: t`Host name`,
      valueGetter: ({ data }) => data?.settings.host_name,
      cellClass: 'cell-name',
      width: 180,
    },
    { headerName: t`MAC`, field: 'mac', cellClass: 'mono', width: 152 },
    { headerName: t`IP`, valueGetter: ({ data }) => data?.settings.address, width: 130 },
    {
      headerName: t`Step`,
      valueGetter: ({ data }) => data && stepBadge(data.step).text,
      cellRenderer: badgeCell<JobItemView>((item) => stepBadge(item.step)),
      width: 172,
    },
    {
      headerName: t`Progress`,
      colId: 'progress',
      valueGetter: ({ data }) => (data ? Math.round(100 * partOf(data)) : 0),
      cellRenderer: barCell<JobItemView>(partOf, (item) =>
        item.step === 'installing' ? `${item.percent}%` : '',
      ),
      hide: !running,
      width: 150,
    },
    { headerName: t`Attempts`, field: 'attempts', width: 92 },
    {
      headerName: t`Problem`,
      valueGetter: ({ data }) => (data?.problem ? `${data.problem.message} ${data.problem.remedy}` : ''),
      tooltipValueGetter: ({ value }) => value || null,
      flex: 1,
      minWidth: 200,
    },
  ]
}
