import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconDownload, IconPlus } from '@tabler/icons-react'
import { useCallback, useState } from 'react'
import {
  type NocProblem,
  type Page,
  type Reservation,
  type ReservationSpec,
  toNocProblem,
  type Versioned,
} from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { CsvImport } from './CsvImport.tsx'
import face from './face.module.css'
import { kinds, useLiveList } from './loading.ts'
import { ReservationForm } from './ReservationForm.tsx'
import { Card, More } from './Scaffold.tsx'
import { useSite } from './SitePage.tsx'
import { useFace } from './session.tsx'

const CONCERNS = kinds('reservation')

/** What a site keeps for single appliances. */
export function SiteReservations() {
  const { t } = useLingui()
  const { noc } = useFace()
  const { path, mayChange } = useSite()
  const own = `${path}/reservations`
  const announce = useAnnounce()
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Reservation>>(own, { after, limit }),
    [noc, own],
  )
  const list = useLiveList(load, CONCERNS)
  const [isAdding, setAdding] = useState(false)
  const done = () => {
    setAdding(false)
    list.refresh()
    announce(t`Saved.`)
  }
  const add = (spec: ReservationSpec) => noc.post(own, spec).then(done)
  const take = async (csv: string) => {
    const { added, replaced, unchanged } = await noc.post<Report>(`${own}/import`, { csv })
    list.refresh()
    return t`${added} added, ${replaced} replaced, ${unchanged} as they were.`
  }
  return (
    <div className={face.stack}>
      <p className={page.lead}>
        <Trans>
          What is reserved nobody else gets, not even typed. Addresses that nobody shall get are excluded in
          the policy.
        </Trans>
      </p>
      <Card
        title={t`Reservations`}
        isFlush
        tools={
          <>
            <Button
              component="a"
              href={`${own}.csv`}
              download
              size="compact-xs"
              variant="default"
              leftSection={<IconDownload size={14} aria-hidden />}
              data-testid="reservations-export"
            >
              <Trans>Export</Trans>
            </Button>
            {mayChange ? (
              <Button
                size="compact-xs"
                leftSection={<IconPlus size={14} aria-hidden />}
                data-testid="reservation-add"
                onClick={() => setAdding(true)}
              >
                <Trans>Reserve…</Trans>
              </Button>
            ) : null}
          </>
        }
      >
        {isAdding ? (
          <div className={page.cardBody}>
            <ReservationForm onSave={add} onCancel={() => setAdding(false)} />
          </div>
        ) : null}
        {list.problem ? <ProblemAlert problem={list.problem} /> : null}
        {list.isReady && list.rows.length === 0 ? (
          <p className={`${page.cardBody} quiet`}>
            <Trans>Nothing is reserved here.</Trans>
          </p>
        ) : (
          <ul className={face.list} data-testid="reservations">
            {list.rows.map((row) => (
              <Row key={row.id} row={row} path={`${own}/${row.id}`} mayChange={mayChange} onDone={done} />
            ))}
          </ul>
        )}
        <More list={list} />
      </Card>
      {mayChange ? (
        <Card title={t`Import reservations`}>
          <CsvImport
            label={t`Reservations as CSV`}
            hint={
              <Trans>
                Columns uid, mac, serial, address, address6, host_name, note, in any order. Every line is
                taken, or none. A line for an appliance that has a reservation takes its place.
              </Trans>
            }
            testid="reservations-import"
            onImport={take}
          />
        </Card>
      ) : null}
    </div>
  )
}

interface Report {
  added: number
  replaced: number
  unchanged: number
}

interface RowProps {
  row: Reservation
  path: string
  mayChange: boolean
  onDone: () => void
}

function Row({ row, path, mayChange, onDone }: RowProps) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [isAsking, setAsking] = useState(false)
  // As it was when the form was opened: a change by somebody else is told, not overwritten.
  const [begun, setBegun] = useState<Versioned<Reservation> | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const { uid, mac, serial, address, address6, host_name: hostName, note } = row.reservation
  const who = serial || mac || uid
  const failed = (reason: unknown) => setProblem(toNocProblem(reason))
  const edit = () => {
    setProblem(null)
    noc.read<Reservation>(path).then(setBegun, failed)
  }
  const save = async (spec: ReservationSpec, tag: string) => {
    await noc.change('PUT', path, tag, spec)
    setBegun(null)
    onDone()
  }
  return (
    <li data-testid="reservation">
      <span className={face.name}>{who}</span>
      <span className="mono">{[address, address6, hostName].filter((part) => part !== '').join(' ')}</span>
      <span className={page.grow} />
      {mayChange && !begun && !isAsking ? (
        <>
          <Button
            variant="default"
            onClick={edit}
            aria-label={t`Change the reservation for ${who}`}
            data-testid="reservation-edit"
          >
            <Trans>Change…</Trans>
          </Button>
          <Button
            variant="default"
            onClick={() => setAsking(true)}
            aria-label={t`Give up the reservation for ${who}`}
            data-testid="reservation-remove"
          >
            <Trans>Give up…</Trans>
          </Button>
        </>
      ) : null}
      {isAsking ? (
        <>
          <span>
            <Trans>Others may get it then.</Trans>
          </span>
          <Button
            color="red.9"
            autoFocus
            data-testid="reservation-remove-sure"
            onClick={() => noc.remove(path).then(onDone, failed)}
          >
            <Trans>Give up</Trans>
          </Button>
          <Button variant="default" onClick={() => setAsking(false)}>
            <Trans>Cancel</Trans>
          </Button>
        </>
      ) : null}
      {note ? <span className={`${face.note} quiet`}>{note}</span> : null}
      {problem ? (
        <div className={face.note}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      {begun ? (
        <div className={face.note}>
          <ReservationForm
            before={begun.value.reservation}
            onSave={(spec) => save(spec, begun.tag)}
            onCancel={() => setBegun(null)}
          />
        </div>
      ) : null}
    </li>
  )
}
