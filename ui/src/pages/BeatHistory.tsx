import { Trans, useLingui } from '@lingui/react/macro'
import { Loader, SegmentedControl, Table } from '@mantine/core'
import { IconHeartbeat } from '@tabler/icons-react'
import { useEffect, useMemo, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { BeatView, ProblemView } from '../bindings.ts'
import { Chart } from '../components/Chart.tsx'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useNow } from '../components/useNow.ts'
import { toBuckets, toSeries } from '../domain/beats.ts'
import { absolute } from '../domain/time.ts'
import classes from './AppliancePage.module.css'
import page from './page.module.css'

const DAY = 86_400

interface Props {
  /** Beats since a time, oldest first. Another function means another appliance. */
  load: (since: number) => Promise<BeatView[]>
  lastBeat: number | null
}

/** The last 24 hours of beats, as charts or as a table. */
export function BeatHistory({ load, lastBeat }: Props) {
  const { t, i18n } = useLingui()
  const [beats, setBeats] = useState<BeatView[] | null>(null)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [form, setForm] = useState('charts')
  const now = useNow(30)

  // biome-ignore lint/correctness/useExhaustiveDependencies: each accepted beat is a reason to ask again
  useEffect(() => {
    let wanted = true
    load(Math.floor(Date.now() / 1000) - DAY).then(
      (all) => {
        if (!wanted) return
        setBeats(all)
        setProblem(null)
      },
      (reason: unknown) => wanted && setProblem(toProblem(reason)),
    )
    return () => {
      wanted = false
    }
  }, [load, lastBeat])

  const { at, series } = useMemo(() => toSeries(beats ?? []), [beats])
  const label = (name: string) =>
    name === 'load'
      ? t`Load`
      : name === 'memory_percent'
        ? t`Memory`
        : name === 'disk_percent'
          ? t`Disk`
          : name
  const isPercent = (name: string) => name === 'memory_percent' || name === 'disk_percent'
  const format = (name: string) => (value: number) =>
    isPercent(name)
      ? i18n.number(value / 100, { style: 'percent', maximumFractionDigits: 0 })
      : i18n.number(value, { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 0 })
  // A day, or less as long as there is less: the first hour must not be a line at the edge.
  const first = at[0] ?? now
  const to = Math.max(now, at.at(-1) ?? now)
  const from = Math.max(to - DAY, Math.min(first, to - 300))

  return (
    <section aria-label={t`Last 24 hours`}>
      <div className={classes.historyHead}>
        <h2>
          <Trans>Last 24 hours</Trans>
        </h2>
        <div className={page.grow} />
        <SegmentedControl
          size="xs"
          aria-label={t`Show the beats as`}
          data-testid="beats-form"
          value={form}
          onChange={setForm}
          data={[
            { value: 'charts', label: t`Charts` },
            { value: 'table', label: t`Table` },
          ]}
        />
      </div>
      {problem ? <ProblemAlert problem={problem} /> : null}
      {beats === null ? (
        problem ? null : (
          <Loader size="sm" aria-label={t`Loading`} />
        )
      ) : beats.length === 0 ? (
        <Empty icon={<IconHeartbeat size={28} />} title={<Trans>No beats in the last 24 hours</Trans>}>
          <Trans>
            Once the appliance reports, its load, memory, disk and counters are drawn here. If it should have
            by now, check that it reaches the NOC.
          </Trans>
        </Empty>
      ) : form === 'charts' ? (
        <div className={classes.charts} data-testid="beat-charts">
          {series.map(({ name, values }) => (
            <Chart
              key={name}
              label={label(name)}
              at={at}
              values={values}
              from={from}
              to={to}
              format={format(name)}
              {...(isPercent(name) ? { max: 100 } : {})}
            />
          ))}
        </div>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        <section className={classes.tableBox} tabIndex={0} aria-label={t`Beats, mean values`}>
          <Table stickyHeader aria-label={t`Beats, mean values`} data-testid="beat-table">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t`From`}</Table.Th>
                <Table.Th>{t`Beats`}</Table.Th>
                {series.map(({ name }) => (
                  <Table.Th key={name}>{label(name)}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {toBuckets(beats, 60)
                .reverse()
                .map((bucket) => (
                  <Table.Tr key={bucket.from}>
                    <Table.Td>{absolute(bucket.from, i18n.locale)}</Table.Td>
                    <Table.Td>{bucket.beats}</Table.Td>
                    {series.map(({ name }) => (
                      <Table.Td key={name}>
                        {bucket.mean[name] === undefined ? '–' : format(name)(bucket.mean[name])}
                      </Table.Td>
                    ))}
                  </Table.Tr>
                ))}
            </Table.Tbody>
          </Table>
        </section>
      )}
    </section>
  )
}
