import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Loader, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import type { CellError } from '../bindings.ts'
import { FIELDS, type Field } from '../domain/settings.ts'
import classes from './Findings.module.css'
import { fieldName } from './fields.ts'

interface Props {
  errors: readonly CellError[]
  checking: boolean
  /** True when something changed after the last check of the NOC. */
  stale: boolean
  nameOf: (uid: string) => string
  onJump: (error: CellError) => void
}

/** What the check found, each entry a way to its cell. */
export function Findings({ errors, checking, stale, nameOf, onJump }: Props) {
  const { t } = useLingui()
  return (
    <section className={classes.panel} aria-label={t`Findings`} data-testid="findings">
      <div className={classes.head} role="status">
        {checking ? (
          <>
            <Loader size={14} aria-hidden /> <Trans>Checking…</Trans>
          </>
        ) : errors.length > 0 ? (
          <b className={classes.bad}>
            <Plural value={errors.length} one="# problem to solve" other="# problems to solve" />
          </b>
        ) : stale ? (
          <Trans>Changed since the last check</Trans>
        ) : (
          <>
            <IconCircleCheck size={18} className={classes.good} aria-hidden /> <Trans>Nothing is wrong</Trans>
          </>
        )}
      </div>
      {errors.length === 0 && !checking ? (
        <Text size="sm" c="dimmed" p="sm">
          {stale ? (
            <Trans>The next step checks again.</Trans>
          ) : (
            <Trans>No address or name twice, all in their network, nothing taken.</Trans>
          )}
        </Text>
      ) : null}
      <ul className={classes.list}>
        {errors.slice(0, 300).map((error, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two findings may be alike
          <li key={i}>
            <button type="button" className={classes.entry} onClick={() => onJump(error)}>
              <span className={classes.where}>
                {nameOf(error.uid)} · {isField(error.field) ? fieldName(error.field) : error.field}
              </span>
              <span>{error.message}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}

function isField(field: string): field is Field {
  return (FIELDS as readonly string[]).includes(field)
}
