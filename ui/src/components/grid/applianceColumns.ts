import { t } from '@lingui/core/macro'
import type { ColDef } from 'ag-grid-community'
import type { ApplianceRow } from '../../bindings.ts'
import { parseIp } from '../../domain/ipv4.ts'
import { absolute, relative } from '../../domain/time.ts'
import { healthBadge, stateBadge } from '../badge.ts'
import { badgeCell } from './cells.ts'

type Column = ColDef<ApplianceRow> & { colId: string }

/** Every column of the discovery grid, in its first order. */
export function applianceColumns(locale: string): Column[] {
  return [
    {
      colId: 'state',
      headerName: t`State`,
      valueGetter: ({ data }) => data && stateBadge(data.state).text,
      cellRenderer: badgeCell<ApplianceRow>((row) => stateBadge(row.state)),
      width: 138,
    },
    {
      colId: 'host_name',
      headerName: t`Host name`,
      valueGetter: ({ data }) => data?.settings.host_name,
      tooltipValueGetter: ({ value }) => value,
      cellClass: 'cell-name',
      width: 168,
    },
    { colId: 'mac', headerName: t`MAC`, field: 'mac', cellClass: 'mono', width: 152 },
    ipColumn('address', t`IP`),
    {
      colId: 'health',
      headerName: t`Health`,
      valueGetter: ({ data }) => data && healthBadge(data.health).text,
      cellRenderer: badgeCell<ApplianceRow>((row) =>
        row.health === 'not_expected' ? null : healthBadge(row.health),
      ),
      width: 136,
    },
    {
      colId: 'last_beat',
      headerName: t`Last beat`,
      valueGetter: ({ data }) => data?.last_beat ?? null,
      valueFormatter: ({ value }) => (value === null ? '' : sinceNow(value, locale)),
      tooltipValueGetter: ({ value }) => (typeof value === 'number' ? absolute(value, locale) : null),
      // Sorted by age: the newest first when ascending.
      comparator: (a: number | null, b: number | null) => (b ?? 0) - (a ?? 0),
      cellClass: 'num',
      filter: false,
      getQuickFilterText: () => '',
      width: 104,
    },
    {
      colId: 'maker',
      headerName: t`Maker`,
      valueGetter: ({ data }) => (data?.mac_is_local ? t`Locally administered` : data?.maker),
      cellClass: ({ data }) => (data?.mac_is_local ? 'quiet' : ''),
      tooltipValueGetter: ({ value }) => value,
      width: 170,
    },
    {
      colId: 'model',
      headerName: t`Model`,
      field: 'model',
      tooltipValueGetter: ({ value }) => value,
      width: 150,
    },
    { colId: 'serial', headerName: t`Serial number`, field: 'serial', width: 120, hide: true },
    ipColumn('netmask', t`Netmask`),
    ipColumn('gateway', t`Gateway`),
    {
      colId: 'address6',
      headerName: t`IPv6`,
      valueGetter: ({ data }) => data?.settings.address6,
      tooltipValueGetter: ({ value }) => value || null,
      cellClass: 'num',
      width: 190,
      hide: true,
    },
    {
      colId: 'gateway6',
      headerName: t`IPv6 gateway`,
      valueGetter: ({ data }) => data?.settings.gateway6,
      tooltipValueGetter: ({ value }) => value || null,
      cellClass: 'num',
      width: 160,
      hide: true,
    },
    {
      colId: 'dns',
      headerName: t`DNS`,
      valueGetter: ({ data }) => [data?.settings.dns1, data?.settings.dns2].filter(Boolean).join(', '),
      tooltipValueGetter: ({ value }) => value,
      width: 170,
    },
    {
      colId: 'domain',
      headerName: t`Domain`,
      valueGetter: ({ data }) => data?.settings.domain,
      tooltipValueGetter: ({ value }) => value,
      width: 150,
    },
    {
      colId: 'conflicts',
      headerName: t`Conflicts`,
      valueGetter: ({ data }) => data?.conflicts.join('; '),
      cellRenderer: badgeCell<ApplianceRow>((row) =>
        row.conflicts.length > 0 ? { tone: 'warn', icon: 'warning', text: row.conflicts.join('; ') } : null,
      ),
      tooltipValueGetter: ({ value }) => value || null,
      width: 130,
    },
    {
      colId: 'uid',
      headerName: t`UID`,
      field: 'uid',
      cellClass: 'mono',
      tooltipField: 'uid',
      width: 330,
    },
  ]
}

function ipColumn(field: 'address' | 'netmask' | 'gateway', headerName: string): Column {
  return {
    colId: field,
    headerName,
    valueGetter: ({ data }) => data?.settings[field],
    cellClass: ({ data }) =>
      field === 'address' && data?.conflicts.length ? ['num', 'cell-conflict'] : 'num',
    tooltipValueGetter: ({ data }) => (field === 'address' && data?.conflicts.join('; ')) || null,
    comparator: (a: string, b: string) => (parseIp(a ?? '') ?? -1) - (parseIp(b ?? '') ?? -1),
    width: 122,
  }
}

function sinceNow(at: number, locale: string): string {
  const now = Math.floor(Date.now() / 1000)
  return relative(Math.min(at, now), now, locale)
}
