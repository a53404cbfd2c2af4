import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Modal, TextInput } from '@mantine/core'
import { type FormEvent, type ReactNode, useState } from 'react'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import { Refused } from './Refused.tsx'

interface Props {
  title: string
  /** What will happen. */
  children: ReactNode
  /** What is to be typed before the button can be pressed: it names the thing that ends. */
  word: string
  /** What the button says. */
  act: string
  /** There is something to do yet before it can be done. */
  isIncomplete?: boolean
  /** Does it. */
  run: () => Promise<unknown>
  onDone: () => void
  onClose: () => void
}

/** Asks before something that is not undone by a further click: whoever means it types what it is about. */
export function Confirmed({ title, children, word, act, isIncomplete = false, run, onDone, onClose }: Props) {
  const { t } = useLingui()
  const [typed, setTyped] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isRunning, setRunning] = useState(false)
  const isMeant = typed.trim() === word && !isIncomplete
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!isMeant || isRunning) return
    setRunning(true)
    run().then(onDone, (reason: unknown) => {
      setProblem(toNocProblem(reason))
      setRunning(false)
    })
  }
  return (
    // Locking what scrolls would write a style into the page, which its content policy does not allow.
    <Modal
      opened
      onClose={onClose}
      title={title}
      size="lg"
      lockScroll={false}
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': t`Close` }}
    >
      <form className={page.form} onSubmit={submit} noValidate data-testid="confirmed">
        {children}
        {problem ? <Refused problem={problem} /> : null}
        <TextInput
          label={t`To go on, type ${word}`}
          classNames={{ input: 'mono' }}
          autoComplete="off"
          spellCheck={false}
          data-testid="confirmed-word"
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <div className={page.actions}>
          <Button
            type="submit"
            color="red.9"
            disabled={!isMeant}
            loading={isRunning}
            data-testid="confirmed-go"
          >
            {act}
          </Button>
          <Button variant="default" onClick={onClose} data-testid="confirmed-cancel">
            <Trans>Cancel</Trans>
          </Button>
        </div>
      </form>
    </Modal>
  )
}
