import { Trans, useLingui } from '@lingui/react/macro'
import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { type NocProblem, toNocProblem } from '../backend/noc.ts'
import type { AppletAuthor } from '../backend/nocApplets.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { Card } from './Scaffold.tsx'
import { useFace } from './session.tsx'

interface Props {
  path: string
  authors: readonly AppletAuthor[]
  mayChange: boolean
  onDone: () => void
}

/** Whose applets an organisation takes. */
export function AppletAuthors({ path, authors, mayChange, onDone }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [name, setName] = useState('')
  const [key, setKey] = useState('')
  const [sure, setSure] = useState<number | null>(null)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const faults = new Map(problem?.faults.map((fault) => [fault.field, fault.message]))
  const doing = async (work: () => Promise<unknown>, said: string) => {
    try {
      await work()
      setProblem(null)
      announce(said)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    }
  }
  const add = (event: FormEvent) => {
    event.preventDefault()
    const [who, their] = [name.trim(), key.trim()]
    void doing(async () => {
      await noc.post<AppletAuthor>(path, { name: who, key: their })
      setName('')
      setKey('')
    }, t`Applets of ${who} are taken.`)
  }
  return (
    <Card title={t`Authors`} isFlush>
      {authors.length === 0 ? (
        <p className={`${page.cardBody} quiet`}>
          <Trans>Nobody’s applets are taken.</Trans>
        </p>
      ) : (
        <ul className={face.list} data-testid="applet-authors">
          {authors.map((one) => (
            <li key={one.id}>
              <span className={face.name}>{one.name}</span>
              <span className={page.grow} />
              <span className="quiet">
                <When at={one.added} exact />
              </span>
              {mayChange ? (
                sure === one.id ? (
                  <Button
                    color="red"
                    size="compact-sm"
                    data-testid={`author-remove-sure-${one.id}`}
                    onClick={() =>
                      void doing(
                        () => noc.remove(`${path}/${one.id}`),
                        t`No new applets of ${one.name} are taken.`,
                      )
                    }
                  >
                    <Trans>Take nothing new of theirs</Trans>
                  </Button>
                ) : (
                  <Button
                    variant="default"
                    size="compact-sm"
                    data-testid={`author-remove-${one.id}`}
                    onClick={() => setSure(one.id)}
                  >
                    <Trans>Remove…</Trans>
                  </Button>
                )
              ) : null}
              <span className={`${face.note} quiet mono`}>{one.key}</span>
            </li>
          ))}
        </ul>
      )}
      {mayChange ? (
        <form className={`${page.cardBody} ${page.form}`} onSubmit={add} noValidate data-testid="author-form">
          {problem ? <ProblemAlert problem={problem} /> : null}
          <TextInput
            label={t`Name`}
            data-testid="author-name"
            value={name}
            error={faults.get('name')}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <TextInput
            label={t`Public key`}
            description={t`As “muster applet key” printed it.`}
            data-testid="author-key"
            spellCheck={false}
            classNames={MONO}
            value={key}
            error={faults.get('key')}
            onChange={(event) => setKey(event.currentTarget.value)}
          />
          <div className={page.actions}>
            <Button type="submit" data-testid="author-add" disabled={name.trim() === '' || key.trim() === ''}>
              <Trans>Take their applets</Trans>
            </Button>
          </div>
        </form>
      ) : null}
    </Card>
  )
}

const MONO = { input: 'mono' }
