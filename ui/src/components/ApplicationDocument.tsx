import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useMemo, useState } from 'react'
import { type DocumentLine, linesOf } from '../domain/application.ts'
import classes from './ApplicationDocument.module.css'

interface Props {
  /** The document, a JSON object; empty for none. */
  text: string
  /** The one before, when what changes is to be seen. */
  before?: string
  /** Values that are shown as dots until they are asked for, as JSON pointers; `*` stands for any item of a list. */
  secrets?: ReadonlySet<string>
}

const NO_SECRETS: ReadonlySet<string> = new Set()

/** Application settings, value by value. Whatever is in them, it is shown as text. */
export function ApplicationDocument({ text, before, secrets = NO_SECRETS }: Props) {
  const { t } = useLingui()
  const [isOpen, setOpen] = useState(false)
  const found = useMemo(() => linesOf(text, before ?? text), [text, before])
  if (!found) return <pre className={classes.raw}>{text}</pre>
  const { lines, more } = found
  if (lines.length === 0)
    return (
      <span className="quiet">
        <Trans>None</Trans>
      </span>
    )
  const isSecret = ({ at }: DocumentLine) => secrets.has(at.replaceAll(/\/\d+(?=\/|$)/g, '/*'))
  const hides = lines.some(isSecret)
  const dots = (line: DocumentLine, value: string) => (isSecret(line) && !isOpen ? '••••' : value)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    // biome-ignore lint/a11y/useSemanticElements: no part of a form, and no landmark: a page may have several
    <div className={classes.box} tabIndex={0} role="group" aria-label={t`Application settings`}>
      <table className={classes.table} data-testid="application-document">
        <tbody>
          {lines.map((line) => (
            <tr key={line.at}>
              <th scope="row">
                <bdi className={classes.text}>{line.path.join(' › ')}</bdi>
              </th>
              <td>
                <Value line={line} dots={dots} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 ? (
        <p className="quiet">
          <Plural value={more} one="# more" other="# more" />
        </p>
      ) : null}
      {hides ? (
        <Button size="compact-xs" variant="subtle" onClick={() => setOpen(!isOpen)}>
          {isOpen ? <Trans>Hide secrets</Trans> : <Trans>Show secrets</Trans>}
        </Button>
      ) : null}
    </div>
  )
}

function Value({ line, dots }: { line: DocumentLine; dots: (line: DocumentLine, value: string) => string }) {
  const { before, after } = line
  const { t } = useLingui()
  if (before === after) return <bdi className={classes.text}>{dots(line, after ?? '')}</bdi>
  return (
    <>
      {before === null ? null : (
        <>
          <del className={`${classes.text} ${classes.before}`}>{dots(line, before)}</del>{' '}
        </>
      )}
      {after === null ? (
        <span className="quiet">{t`taken away`}</span>
      ) : (
        <ins className={`${classes.text} ${classes.changed}`} style={PLAIN}>
          {dots(line, after)}
        </ins>
      )}
    </>
  )
}

const PLAIN = { textDecoration: 'none' } as const
