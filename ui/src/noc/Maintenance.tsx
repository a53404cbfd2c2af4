import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { type FormEvent, useCallback, useState } from 'react'
import {
  type MaintenanceWindow,
  type NocProblem,
  type Page,
  type SiteView,
  toNocProblem,
} from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLiveList } from './loading.ts'
import { Card, More } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('maintenance')

/** When nobody is told of a site, or of one of its appliances. */
export function Maintenance({ site }: { site: SiteView }) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const announce = useAnnounce()
  const mayAct = may(me.operator, 'operator', site.organisation, [site.id])
  const load = useCallback(
    (after: string | null, limit: number) =>
      noc.get<Page<MaintenanceWindow>>('/v1/maintenance', { site: site.id, over: false, after, limit }),
    [noc, site.id],
  )
  const list = useLiveList(load, CONCERNS)
  const [isAdding, setAdding] = useState(false)
  const done = () => {
    setAdding(false)
    list.refresh()
    announce(t`Saved.`)
  }
  return (
    <Card
      title={t`Maintenance`}
      isFlush
      tools={
        mayAct && !isAdding ? (
          <Button
            size="compact-xs"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => setAdding(true)}
            data-testid="maintenance-add"
          >
            <Trans>Add…</Trans>
          </Button>
        ) : null
      }
    >
      {isAdding ? (
        <div className={page.cardBody}>
          <AddForm site={site.id} onDone={done} onCancel={() => setAdding(false)} />
        </div>
      ) : null}
      {list.problem ? <ProblemAlert problem={list.problem} /> : null}
      {list.isReady && list.rows.length === 0 ? (
        <p className={`${page.cardBody} quiet`}>
          <Trans>None is under way or to come: silence is told.</Trans>
        </p>
      ) : (
        <ul className={face.list} data-testid="maintenance">
          {list.rows.map((row) => (
            <Row key={row.id} row={row} mayAct={mayAct} onDone={done} />
          ))}
        </ul>
      )}
      <More list={list} />
    </Card>
  )
}

function Row({ row, mayAct, onDone }: { row: MaintenanceWindow; mayAct: boolean; onDone: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const end = () =>
    noc
      .remove(`/v1/maintenance/${row.id}`)
      .then(onDone, (reason: unknown) => setProblem(toNocProblem(reason)))
  return (
    <li data-testid={`maintenance-${row.id}`}>
      <StatusBadge
        badge={
          row.is_active
            ? { tone: 'info', icon: 'half', text: t`Under way` }
            : { tone: 'idle', icon: 'ring', text: t`To come` }
        }
      />
      <span className={row.appliance ? 'mono' : face.name}>
        {row.appliance ? row.appliance.slice(0, 9) : <Trans>All of the site</Trans>}
      </span>
      <span>
        <Trans>
          from <When at={row.starts} exact /> to <When at={row.ends} exact />
        </Trans>
        {row.every === 'once' ? null : (
          <span className="quiet"> · {row.every === 'day' ? t`every day` : t`every week`}</span>
        )}
      </span>
      <span className={page.grow} />
      {mayAct ? (
        <Button
          variant="default"
          onClick={end}
          data-testid="maintenance-end"
          aria-label={t`End maintenance ${row.id}`}
        >
          <Trans>End</Trans>
        </Button>
      ) : null}
      {row.note ? <span className={`${face.note} quiet`}>{row.note}</span> : null}
      {problem ? (
        <div className={face.note}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
    </li>
  )
}

interface AddFormProps {
  site: number
  onDone: () => void
  onCancel: () => void
}

function AddForm({ site, onDone, onCancel }: AddFormProps) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [minutes, setMinutes] = useState('60')
  const [starts, setStarts] = useState('')
  const [every, setEvery] = useState<MaintenanceWindow['every']>('once')
  const [appliance, setAppliance] = useState('')
  const [note, setNote] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  const save = (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    const body = {
      site,
      for_s: Math.max(0, Math.round(Number(minutes) * 60)) || 0,
      every,
      note,
      ...(starts ? { starts: Math.floor(new Date(starts).getTime() / 1000) } : {}),
      ...(appliance.trim() ? { appliance: appliance.trim() } : {}),
    }
    noc.post('/v1/maintenance', body).then(onDone, (reason: unknown) => {
      setProblem(toNocProblem(reason))
      setSaving(false)
    })
  }
  return (
    <form className={face.stack} onSubmit={save} noValidate data-testid="maintenance-form">
      <div className={page.actions}>
        <TextInput
          type="datetime-local"
          label={t`Begins (empty: now)`}
          value={starts}
          onChange={(event) => setStarts(event.currentTarget.value)}
        />
        <TextInput
          label={t`For minutes`}
          inputMode="numeric"
          className={face.pick}
          value={minutes}
          autoFocus
          data-testid="maintenance-minutes"
          onChange={(event) => setMinutes(event.currentTarget.value)}
        />
        <NativeSelect
          label={t`How often`}
          value={every}
          data={[
            { value: 'once', label: t`once` },
            { value: 'day', label: t`every day` },
            { value: 'week', label: t`every week` },
          ]}
          onChange={(event) => setEvery(event.currentTarget.value as MaintenanceWindow['every'])}
        />
        <TextInput
          label={t`Only the appliance with this UID`}
          className={face.wide}
          value={appliance}
          data-testid="maintenance-appliance"
          onChange={(event) => setAppliance(event.currentTarget.value)}
        />
      </div>
      <TextInput
        label={t`Why`}
        maxLength={500}
        value={note}
        data-testid="maintenance-note"
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div className={page.actions}>
        <Button type="submit" loading={isSaving} data-testid="maintenance-save">
          <Trans>Add</Trans>
        </Button>
        <Button variant="default" onClick={onCancel}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}
