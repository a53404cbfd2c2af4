import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox } from '@mantine/core'
import { useCallback, useMemo, useState } from 'react'
import { Link } from 'react-router'
import type { Page, Policy, PreviewRow, Profile } from '../backend/noc.ts'
import { fieldName } from '../components/fields.ts'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { LISTED } from '../domain/lists.ts'
import { FIELDS } from '../domain/settings.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLiveList } from './loading.ts'
import { Refused } from './Refused.tsx'
import { Card, More } from './Scaffold.tsx'
import { useFace } from './session.tsx'
import { previewBadge } from './words.ts'

/** All appliances are worked out for each answer, so beats are no reason to ask again. */
const CONCERNS = kinds('site', 'organisation', 'reservation')

interface Props {
  /** The site. */
  path: string
  /** A policy that is only thought of; without it, what is kept. */
  thought?: { policy?: Policy; profiles?: Profile[] }
}

/** What a site's appliances would get if they were all configured now. Nothing is held for them. */
export function Preview({ path, thought }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const [isAll, setAll] = useState(false)
  const text = JSON.stringify(thought ?? {})
  const body = useMemo(() => JSON.parse(text) as object, [text])
  const load = useCallback(
    (after: string | null, limit: number) => {
      const query = new URLSearchParams({ limit: String(limit), changes: String(!isAll) })
      if (after !== null) query.set('after', after)
      return noc.post<Page<PreviewRow>>(`${path}/preview?${query}`, body)
    },
    [noc, path, isAll, body],
  )
  const list = useLiveList(load, CONCERNS)
  return (
    <Card
      title={thought ? t`What appliances would get by this` : t`What appliances would get now`}
      isFlush
      tools={
        <>
          <Checkbox
            size="xs"
            label={t`also those that keep everything`}
            checked={isAll}
            data-testid="preview-all"
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
          <Button size="compact-xs" variant="default" onClick={list.refresh}>
            <Trans>Work it out again</Trans>
          </Button>
        </>
      }
    >
      {list.problem ? (
        <div className={page.cardBody}>
          <Refused problem={list.problem} />
        </div>
      ) : null}
      {list.isReady && list.rows.length === 0 ? (
        <p className={`${page.cardBody} quiet`} data-testid="preview-none">
          {isAll ? (
            <Trans>No appliance is at this site.</Trans>
          ) : (
            <Trans>Every appliance of the site would keep what it has.</Trans>
          )}
        </p>
      ) : (
        <ul className={face.list} data-testid="preview">
          {list.rows.map((row) => (
            <li key={row.uid} data-testid="preview-row">
              <Link className={face.link} to={`/appliances/${row.uid}`}>
                {row.current?.host_name || row.serial || row.uid.slice(0, 9)}
              </Link>
              <span className="quiet">{row.model}</span>
              <span className={page.grow} />
              <StatusBadge badge={previewBadge(row)} />
              {row.problem ? (
                <span className={face.note}>
                  {row.problem.title}. {row.problem.detail}
                </span>
              ) : (
                <Changes row={row} />
              )}
            </li>
          ))}
        </ul>
      )}
      <More list={list} />
    </Card>
  )
}

/** What would be another value, and which rule gives it. */
function Changes({ row }: { row: PreviewRow }) {
  const changed = [...FIELDS, ...LISTED, 'application' as const].filter((field) =>
    row.changes.includes(field),
  )
  if (changed.length === 0) return null
  return (
    <ul className={`${face.note} ${face.plain}`}>
      {changed.map((field) => (
        <li key={field}>
          {fieldName(field)}: <Value of={row.current?.[field]} /> → <Value of={row.settings?.[field]} />{' '}
          <span className="quiet">{row.rules[field] ?? ''}</span>
        </li>
      ))}
    </ul>
  )
}

function Value({ of }: { of: string | undefined }) {
  return of ? (
    <span className="mono">{of}</span>
  ) : (
    <span className="quiet">
      <Trans>none</Trans>
    </span>
  )
}
