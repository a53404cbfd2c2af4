import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, FileButton, Textarea } from '@mantine/core'
import { IconFileImport } from '@tabler/icons-react'
import { type FormEvent, type ReactNode, useState } from 'react'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import { Refused } from './Refused.tsx'

/** A text up to this length is shown and can be corrected here; a longer one only in the program that it comes from. */
const SHOWN = 100_000

interface Props {
  label: string
  /** Which columns, in which form. */
  hint: ReactNode
  testid: string
  /** Takes the text in; answers what came of it, in words. */
  onImport: (csv: string) => Promise<string>
}

/** Takes in a file, or what is pasted. What is refused stays here, with every line that is wrong. */
export function CsvImport({ label, hint, testid, onImport }: Props) {
  const { t } = useLingui()
  const [text, setText] = useState('')
  const [name, setName] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [done, setDone] = useState('')
  const [isBusy, setBusy] = useState(false)
  const isLong = text.length > SHOWN
  const lines = isLong ? text.split('\n').length : 0

  const begin = (next: string, from: string) => {
    setText(next)
    setName(from)
    setProblem(null)
    setDone('')
  }
  const open = (file: File | null) => {
    if (!file) return
    file.text().then(
      (read) => begin(read, file.name),
      () => setProblem(unreadable(file.name)),
    )
  }
  const unreadable = (file: string): NocProblem => ({
    code: 'file_unreadable',
    message: t`The file ${file} could not be read.`,
    remedy: t`Choose it again, or paste what is in it.`,
    status: 0,
    faults: [],
    lines: [],
  })
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setDone('')
    try {
      const said = await onImport(text)
      setText('')
      setName('')
      setProblem(null)
      setDone(said)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setBusy(false)
    }
  }

  return (
    <form className={page.form} onSubmit={submit} noValidate data-testid={testid}>
      {problem ? <Refused problem={problem} /> : null}
      {isLong ? (
        <div data-testid={`${testid}-long`}>
          <p>
            {name}: <Plural value={lines} one="# line" other="# lines" />
          </p>
          <p className="quiet">
            <Trans>
              It is too long to be shown here. Correct it where it comes from, and choose it again.
            </Trans>
          </p>
        </div>
      ) : (
        <Textarea
          label={label}
          description={hint}
          rows={6}
          spellCheck={false}
          data-testid={`${testid}-text`}
          value={text}
          onChange={(event) => begin(event.currentTarget.value, name)}
        />
      )}
      <div className={page.actions}>
        <FileButton onChange={open} accept=".csv,text/csv,text/plain" key={name}>
          {(props) => (
            <Button
              {...props}
              variant="default"
              leftSection={<IconFileImport size={15} aria-hidden />}
              data-testid={`${testid}-file`}
            >
              <Trans>Choose a file</Trans>
            </Button>
          )}
        </FileButton>
        <Button type="submit" loading={isBusy} disabled={text.trim() === ''} data-testid={`${testid}-go`}>
          <Trans>Import</Trans>
        </Button>
        {isLong ? (
          <Button variant="subtle" color="gray" onClick={() => begin('', '')}>
            <Trans>Another file</Trans>
          </Button>
        ) : null}
        <span className="quiet" role="status" data-testid={`${testid}-done`}>
          {done}
        </span>
      </div>
    </form>
  )
}
