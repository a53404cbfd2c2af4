import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { IconDownload, IconZoomExclamation } from '@tabler/icons-react'
import { useCallback, useMemo, useState } from 'react'
import { type AuditRecord, type NocProblem, type Page, toNocProblem } from '../backend/noc.ts'
import { Empty } from '../components/Empty.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { absolute } from '../domain/time.ts'
import page from '../pages/page.module.css'
import { download } from './download.ts'
import face from './face.module.css'
import { useChanges } from './live.ts'
import { useList } from './loading.ts'
import { usePlaces } from './places.tsx'
import { type Column, Rows } from './Rows.tsx'
import { useFace } from './session.tsx'

/** Records of one file; more are had from the command line. */
const MOST_EXPORTED = 20_000
const STEP = 1_000

/** What was done, by whom, newest first. */
export function AuditPage() {
  const { t, i18n } = useLingui()
  const { noc } = useFace()
  const places = usePlaces()
  const [asked, setAsked] = useState({
    organisation: '',
    actor: '',
    action: '',
    subject: '',
    since: '',
    until: '',
  })
  const [exported, setExported] = useState<{ problem: NocProblem | null; isRunning: boolean; note: string }>(
    IDLE,
  )
  const query = useMemo(
    () => ({
      ...asked,
      since: toSeconds(asked.since, 0),
      until: toSeconds(asked.until, 86_399),
    }),
    [asked],
  )
  const load = useCallback(
    (after: string | null, limit: number) =>
      noc.get<Page<AuditRecord>>('/v1/audit', { ...query, after, limit }),
    [noc, query],
  )
  const list = useList(load)
  useChanges((changes) => {
    if (changes === null || changes.kinds.length > 0) list.refresh()
  })
  const columns = useMemo((): Column<AuditRecord>[] => {
    const place = (record: AuditRecord) =>
      record.site !== null
        ? places.site(record.site)
        : record.organisation !== null
          ? places.organisation(record.organisation)
          : 'NOC'
    return [
      { id: 'seq', title: t`Number`, width: '80px', cell: (record) => record.seq },
      { id: 'time', title: t`Time`, width: '170px', cell: (record) => absolute(record.time, i18n.locale) },
      {
        id: 'actor',
        title: t`Who`,
        width: '1.4fr',
        cell: (record) => record.actor,
        full: (record) => record.actor,
      },
      { id: 'action', title: t`What`, width: '150px', cell: (record) => record.action },
      {
        id: 'subject',
        title: t`To what`,
        width: '1.4fr',
        cell: (record) => record.subject,
        full: (record) => record.subject,
      },
      { id: 'place', title: t`Where`, width: '1fr', cell: place, full: place },
      {
        id: 'detail',
        title: t`Detail`,
        width: '2fr',
        cell: (record) => (record.detail === 'null' ? '' : record.detail),
        full: (record) => record.detail,
      },
    ]
  }, [places, t, i18n.locale])

  const save = async () => {
    setExported({ ...IDLE, isRunning: true })
    try {
      const lines: string[] = []
      let after: string | null = null
      do {
        const got: Page<AuditRecord> = await noc.get('/v1/audit', { ...query, after, limit: STEP })
        for (const record of got.items) lines.push(JSON.stringify(record))
        after = got.next ?? null
      } while (after !== null && lines.length < MOST_EXPORTED)
      download('muster-audit.jsonl', `${lines.join('\n')}\n`)
      const note =
        after === null
          ? ''
          : t`The newest ${i18n.number(lines.length)} are in the file. All of them: muster-noc audit export.`
      setExported({ ...IDLE, note })
    } catch (reason) {
      setExported({ ...IDLE, problem: toNocProblem(reason) })
    }
  }

  const field = (name: keyof typeof asked, label: string, placeholder: string) => (
    <TextInput
      aria-label={label}
      placeholder={placeholder}
      spellCheck={false}
      data-testid={`audit-${name}`}
      value={asked[name]}
      onChange={(event) => setAsked({ ...asked, [name]: event.currentTarget.value })}
    />
  )
  const problem = exported.problem ?? list.problem
  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>
          <Trans>Audit log</Trans>
        </h1>
        {places.organisations.length > 1 ? (
          <NativeSelect
            className={face.pick}
            aria-label={t`Organisation`}
            value={asked.organisation}
            onChange={(event) => setAsked({ ...asked, organisation: event.currentTarget.value })}
            data={[
              { value: '', label: t`All organisations` },
              ...places.organisations.map(({ id, name }) => ({ value: String(id), label: name })),
            ]}
          />
        ) : null}
        {field('actor', t`Who, from the beginning`, t`Who, as operator:7:`)}
        {field('action', t`What, from the beginning`, t`What, as site.`)}
        {field('subject', t`To what, from the beginning`, t`To what, as site:3`)}
        <TextInput
          type="date"
          aria-label={t`From day`}
          value={asked.since}
          onChange={(event) => setAsked({ ...asked, since: event.currentTarget.value })}
        />
        <TextInput
          type="date"
          aria-label={t`To day`}
          value={asked.until}
          onChange={(event) => setAsked({ ...asked, until: event.currentTarget.value })}
        />
        <div className={page.grow} />
        <Button
          variant="default"
          leftSection={<IconDownload size={15} aria-hidden />}
          loading={exported.isRunning}
          disabled={list.rows.length === 0}
          data-testid="audit-export"
          onClick={() => void save()}
        >
          <Trans>Export</Trans>
        </Button>
      </header>
      {problem ? (
        <div className={face.problem}>
          <ProblemAlert problem={problem} />
        </div>
      ) : null}
      {exported.note ? (
        <p className={face.problem} role="status">
          {exported.note}
        </p>
      ) : null}
      {list.isReady && list.rows.length === 0 ? (
        <Empty icon={<IconZoomExclamation size={28} />} title={<Trans>No record matches</Trans>}>
          <Trans>Texts count from their beginning: site. finds site.add, and add does not.</Trans>
        </Empty>
      ) : (
        <Rows
          label={t`Audit log`}
          testid="audit"
          rows={list.rows}
          idOf={idOf}
          columns={columns}
          hasMore={list.hasMore}
          onEnd={list.more}
        />
      )}
    </div>
  )
}

const IDLE = { problem: null, isRunning: false, note: '' }
const idOf = (record: AuditRecord) => String(record.seq)

/** The beginning of a day here, or a moment after it; nothing for no day. */
function toSeconds(day: string, after: number): number | null {
  const at = day === '' ? Number.NaN : new Date(`${day}T00:00:00`).getTime() / 1000
  return Number.isFinite(at) ? Math.max(0, Math.floor(at)) + after : null
}
