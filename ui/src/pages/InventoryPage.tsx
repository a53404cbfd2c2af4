import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, FileButton, Table, Textarea } from '@mantine/core'
import { IconCheck, IconFileUpload } from '@tabler/icons-react'
import { useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { ImportReport, ProblemView } from '../bindings.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { parseTable } from '../domain/csv.ts'
import { useSession } from '../store/context.tsx'
import page from './page.module.css'

/** The vendor's manifest into the inventory of the NOC on this computer. */
export function InventoryPage() {
  const { t } = useLingui()
  const { backend } = useSession()
  const [csv, setCsv] = useState('')
  const [report, setReport] = useState<ImportReport | null>(null)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [busy, setBusy] = useState(false)
  const lines = Math.max(0, parseTable(csv).length - 1)
  const change = (text: string) => {
    setCsv(text)
    setReport(null)
    setProblem(null)
  }
  const submit = async () => {
    setBusy(true)
    setReport(null)
    setProblem(null)
    try {
      setReport(await backend.importManifest(csv))
    } catch (reason) {
      setProblem(toProblem(reason))
    }
    setBusy(false)
  }
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Inventory</Trans>
        </h1>
      </header>
      <p className={page.lead}>
        <Trans>
          The manifest that comes with a delivery tells the NOC which appliances are yours, so nobody has to
          type label codes. It is a CSV file with the columns <code>serial</code>, <code>mac</code>,{' '}
          <code>uid</code>, <code>claim</code> and, if known, <code>model</code>; for appliances that want
          one, <code>voucher</code>. All of it is imported, or nothing.
        </Trans>
      </p>
      <form
        className={page.form}
        style={{ maxWidth: 860 }}
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        <Textarea
          label={t`Manifest`}
          data-testid="manifest-input"
          description={t`Paste it here, or choose a file.`}
          placeholder={'serial,mac,uid,claim,model\nSN100001,00:1B:21:00:00:01,ABCD-…,WXYZ-…,MX-200'}
          classNames={{ input: 'mono' }}
          spellCheck={false}
          wrap="off"
          rows={12}
          value={csv}
          onChange={(event) => change(event.currentTarget.value)}
        />
        <div className={page.actions}>
          <Button type="submit" data-testid="manifest-submit" loading={busy} disabled={lines === 0}>
            <Plural value={lines} _0="Import" one="Import # appliance" other="Import # appliances" />
          </Button>
          <FileButton
            accept=".csv,text/csv,text/plain"
            onChange={(file) => {
              file?.text().then(change, (reason: unknown) => setProblem(toProblem(reason)))
            }}
          >
            {(props) => (
              <Button {...props} variant="default" leftSection={<IconFileUpload size={16} aria-hidden />}>
                <Trans>Choose a file…</Trans>
              </Button>
            )}
          </FileButton>
        </div>
        {problem ? <ProblemAlert problem={problem} /> : null}
        {report ? <Report report={report} /> : null}
      </form>
    </div>
  )
}

function Report({ report }: { report: ImportReport }) {
  const { t } = useLingui()
  const wrong = report.errors.length
  if (wrong === 0)
    return (
      <output className={page.card}>
        <div className={page.cardBody} data-testid="manifest-done">
          <IconCheck size={16} aria-hidden style={{ verticalAlign: -3, color: 'var(--tone-good)' }} />{' '}
          <Plural value={report.added} one="# appliance added" other="# appliances added" />,{' '}
          <Plural value={report.unchanged} one="# was there already" other="# were there already" />.
        </div>
      </output>
    )
  return (
    <section className={page.card} aria-label={t`Errors`} role="alert" data-testid="manifest-errors">
      <div className={page.cardHead}>
        <h2>
          <Plural
            value={wrong}
            one="# line is wrong; nothing was imported"
            other="# lines are wrong; nothing was imported"
          />
        </h2>
      </div>
      <Table aria-label={t`Errors`}>
        <Table.Tbody>
          {report.errors.map(({ line, message }) => (
            <Table.Tr key={`${line} ${message}`}>
              <Table.Td w={90}>
                <Trans>Line {line}</Trans>
              </Table.Td>
              <Table.Td>{message}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  )
}
