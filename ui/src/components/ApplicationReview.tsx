import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Select } from '@mantine/core'
import { useState } from 'react'
import classes from './ApplicationDocument.module.css'
import { ApplicationDocument } from './ApplicationDocument.tsx'

/** The application settings of one appliance, before and after. */
export interface ReviewedApplication {
  uid: string
  name: string
  before: string
  after: string
  secrets: ReadonlySet<string>
}

/** Appliances that are listed. */
const LISTED = 500

/** What each appliance's application gets, beside what it has; nothing when none gets or has anything. */
export function ApplicationReview({ rows }: { rows: readonly ReviewedApplication[] }) {
  const { t } = useLingui()
  const [uid, setUid] = useState<string | null>(null)
  const some = rows.filter(({ before, after }) => before !== '' || after !== '')
  const chosen = some.find((row) => row.uid === uid) ?? some[0]
  if (!chosen) return null
  const gets = some.filter(({ after }) => after !== '').length
  const changes = some.filter(({ before, after }) => before !== after).length
  return (
    <details className={classes.review} data-testid="application-review" open={some.length === 1}>
      <summary>
        <Plural
          value={gets}
          one="Application settings of # appliance"
          other="Application settings of # appliances"
        />{' '}
        <span className="quiet">
          <Plural value={changes} one="(# changes)" other="(# change)" />
        </span>
      </summary>
      <div className={classes.of}>
        {some.length > 1 ? (
          <Select
            label={t`Appliance`}
            data-testid="application-of"
            searchable
            allowDeselect={false}
            data={some.slice(0, LISTED).map((row) => ({ value: row.uid, label: row.name }))}
            value={chosen.uid}
            onChange={setUid}
          />
        ) : (
          <span>{chosen.name}</span>
        )}
        {chosen.before !== '' && chosen.before !== chosen.after ? (
          <span className="quiet">
            <Trans>What it has is struck out, what it gets is bold.</Trans>
          </span>
        ) : null}
      </div>
      <ApplicationDocument
        key={chosen.uid}
        text={chosen.after}
        before={chosen.before}
        secrets={chosen.secrets}
      />
    </details>
  )
}
