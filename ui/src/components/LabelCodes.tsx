import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, FileButton, Modal, Text, Textarea, TextInput } from '@mantine/core'
import { useRef, useState } from 'react'
import { isCode, type Labelled, readCodes, tidyCode } from '../domain/labels.ts'
import classes from './LabelCodes.module.css'

export interface Unclaimed extends Labelled {
  /** Why the code given was refused, if it was. */
  problem?: string | undefined
}

interface Props {
  appliances: readonly Unclaimed[]
  codes: ReadonlyMap<string, string>
  onChange: (codes: ReadonlyMap<string, string>) => void
}

/** Asks for the label code of each appliance: typed, scanned, or pasted as a list. */
export function LabelCodes({ appliances, codes, onChange }: Props) {
  const { t } = useLingui()
  const box = useRef<HTMLDivElement>(null)
  const [listOpen, setListOpen] = useState(false)
  const [note, setNote] = useState('')
  const given = appliances.filter(({ uid }) => codes.get(uid)).length
  const takeList = (text: string) => {
    const read = readCodes(text, appliances, codes)
    onChange(new Map([...codes, ...read.codes]))
    const unused = read.unmatched.length + read.surplus
    setNote(
      unused > 0
        ? t`${read.codes.size} codes taken; ${unused} lines fit no appliance.`
        : t`${read.codes.size} codes taken.`,
    )
  }
  const set = (uid: string, code: string) => onChange(new Map(codes).set(uid, code))
  const next = (from: number) => {
    const inputs = box.current?.querySelectorAll('input') ?? []
    inputs[from + 1]?.focus()
    inputs[from + 1]?.select()
  }
  return (
    <section className={classes.panel} aria-label={t`Label codes`} data-testid="label-codes">
      <div className={classes.head}>
        <Text fw={600}>
          <Trans>Label codes</Trans>
        </Text>
        <Text size="xs" c="dimmed">
          <Plural
            value={appliances.length}
            one="# appliance is not in the inventory. The code on its label proves that it is yours."
            other="# appliances are not in the inventory. The code on each label proves that it is yours."
          />{' '}
          <Trans>Type it, or scan one label after the other.</Trans>
        </Text>
        <div className={classes.actions}>
          <Button size="compact-xs" variant="default" onClick={() => setListOpen(true)}>
            <Trans>Paste a list…</Trans>
          </Button>
          <FileButton
            accept=".csv,.txt,text/csv,text/plain"
            onChange={(file) => {
              file?.text().then(takeList, () => setNote(t`The file could not be read.`))
            }}
          >
            {(props) => (
              <Button size="compact-xs" variant="default" {...props}>
                <Trans>Choose a file…</Trans>
              </Button>
            )}
          </FileButton>
          <Text size="xs" c="dimmed" role="status">
            {note || (
              <Trans>
                {given} of {appliances.length} given
              </Trans>
            )}
          </Text>
        </div>
      </div>
      <div className={classes.list} ref={box}>
        {appliances.slice(0, SHOWN).map(({ uid, mac, problem }, i) => {
          const code = codes.get(uid) ?? ''
          const wrong =
            code !== '' && !isCode(code) ? t`A label code has at least 16 letters and digits.` : problem
          return (
            <TextInput
              key={uid}
              data-testid={`code-${uid}`}
              label={<span className="mono">{mac}</span>}
              error={wrong}
              placeholder={t`Label code`}
              classNames={{ input: 'mono' }}
              spellCheck={false}
              autoComplete="off"
              value={code}
              onChange={(event) => set(uid, event.currentTarget.value)}
              onBlur={() => code && set(uid, tidyCode(code))}
              onPaste={(event) => {
                const text = event.clipboardData.getData('text')
                if (!/[\n,;\t]/.test(text.trim())) return
                event.preventDefault()
                takeList(text)
              }}
              onKeyDown={(event) => {
                if (event.key !== 'Enter') return
                event.preventDefault()
                next(i)
              }}
            />
          )
        })}
        {appliances.length > SHOWN ? (
          <Text size="xs" c="dimmed">
            <Plural
              value={appliances.length - SHOWN}
              one="# more: paste a list or choose a file."
              other="# more: paste a list or choose a file."
            />
          </Text>
        ) : null}
      </div>
      <ListDialog opened={listOpen} onClose={() => setListOpen(false)} onTake={takeList} />
    </section>
  )
}

const SHOWN = 200

interface ListProps {
  opened: boolean
  onClose: () => void
  onTake: (text: string) => void
}

function ListDialog({ opened, onClose, onTake }: ListProps) {
  const { t } = useLingui()
  const [text, setText] = useState('')
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t`Paste label codes`}
      closeButtonProps={{ 'aria-label': t`Close` }}
    >
      <Textarea
        data-autofocus
        data-testid="codes-list"
        label={t`One appliance a line`}
        description={t`MAC, UID or serial number and the code, separated by a comma or tab; or codes alone, in the order shown.`}
        classNames={{ input: 'mono' }}
        rows={10}
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <Button
        mt="sm"
        disabled={!text.trim()}
        onClick={() => {
          onTake(text)
          setText('')
          onClose()
        }}
      >
        <Trans>Take these codes</Trans>
      </Button>
    </Modal>
  )
}
