import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Link, useParams } from 'react-router'
import {
  type Difference,
  type Draft,
  type DraftRow,
  type NocProblem,
  type Page,
  toNocProblem,
} from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { fieldName } from '../components/fields.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import type { Field } from '../domain/settings.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLiveList, useLoaded } from './loading.ts'
import { NewDraft } from './NewDraft.tsx'
import { usePlaces } from './places.tsx'
import { BackLink, Card, More } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'
import { draftBadge, draftRowBadge, rowsInWords } from './words.ts'

const DRAFT = kinds('draft')

interface Reviewed {
  draft: Draft
  difference: Difference
}

/** One draft, what it changes and how its appliances stand; or a new one. */
export function DraftPage() {
  const { id = '' } = useParams()
  return (
    <div className={page.page}>
      <BackLink to="/drafts">
        <Trans>Drafts</Trans>
      </BackLink>
      {id === 'new' ? <NewDraft /> : <OneDraft key={id} id={id} />}
    </div>
  )
}

function OneDraft({ id }: { id: string }) {
  const { noc, me } = useFace()
  const places = usePlaces()
  const path = `/v1/drafts/${encodeURIComponent(id)}`
  const load = useCallback(() => noc.get<Reviewed>(path), [noc, path])
  const { value, problem, reload } = useLoaded(
    load,
    (changes) => DRAFT(changes) || changes.appliances.length > 0,
  )
  if (!value)
    return (
      <>
        <h1 className={page.title}>
          <Trans>Draft</Trans>
        </h1>
        {problem ? <ProblemAlert problem={problem} /> : null}
      </>
    )
  const { draft, difference } = value
  const site = places.sites.find((one) => one.id === draft.sites[0])
  const mayDecide = site !== undefined && may(me.operator, 'operator', site.organisation, draft.sites)
  return (
    <>
      <header className={page.head}>
        <h1 className={`${page.title} ${face.name}`}>{draft.title}</h1>
        <StatusBadge badge={draftBadge(draft.state)} />
        <span className="quiet">{draft.sites.map(places.site).join(', ')}</span>
      </header>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div className={face.stack}>
        <p className={page.lead} data-testid="draft-standing">
          {rowsInWords(draft.rows)}
        </p>
        {draft.state === 'open' && mayDecide ? <Decide path={path} onDone={reload} /> : null}
        {draft.decided !== null ? (
          <p className="quiet">
            {draft.decided_by}, <When at={draft.decided} exact />
          </p>
        ) : null}
        <DifferenceTable difference={difference} />
        <DraftRows path={path} namesSites={draft.sites.length > 1} />
      </div>
    </>
  )
}

/** Makes the change, or gives it up. */
function Decide({ path, onDone }: { path: string; onDone: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const decide = async (how: 'apply' | 'discard') => {
    setBusy(true)
    try {
      await noc.post<Draft>(`${path}/${how}`, {})
      setProblem(null)
      announce(how === 'apply' ? t`The change is on its way.` : t`The draft was given up.`)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div className={page.actions}>
        <Button loading={isBusy} onClick={() => void decide('apply')} data-testid="draft-apply">
          <Trans>Apply to all of them</Trans>
        </Button>
        <Button
          variant="default"
          disabled={isBusy}
          onClick={() => void decide('discard')}
          data-testid="draft-discard"
        >
          <Trans>Discard</Trans>
        </Button>
        <span className="quiet">
          <Trans>
            Each appliance gets it with the answer to its next beat, and goes back to what it has if it does
            not reach the NOC under it.
          </Trans>
        </span>
      </div>
    </>
  )
}

function DifferenceTable({ difference }: { difference: Difference }) {
  const { t } = useLingui()
  const shown = (value: string) => value || '–'
  return (
    <Card title={t`Difference`} isFlush>
      <table className={face.table} data-testid="difference">
        <thead>
          <tr>
            <th scope="col">
              <Trans>Value</Trans>
            </th>
            <th scope="col">
              <Trans>Before</Trans>
            </th>
            <th scope="col">
              <Trans>After</Trans>
            </th>
            <th scope="col">
              <Trans>Appliances</Trans>
            </th>
          </tr>
        </thead>
        <tbody>
          {difference.lines.map((line) => (
            <tr key={`${line.column} ${line.before} ${line.after}`}>
              <th scope="row">{fieldName(line.column as Field)}</th>
              <td className="mono">{shown(line.before)}</td>
              <td className="mono">{shown(line.after)}</td>
              <td>{line.appliances}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {difference.more > 0 ? (
        <p className={`${face.more} quiet`}>
          <Trans>and {difference.more} more lines; the appliances below show them</Trans>
        </p>
      ) : null}
    </Card>
  )
}

function DraftRows({ path, namesSites }: { path: string; namesSites: boolean }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const places = usePlaces()
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<DraftRow>>(`${path}/rows`, { after, limit }),
    [noc, path],
  )
  const list = useLiveList(load, (changes) => DRAFT(changes) || changes.appliances.length > 0)
  return (
    <Card title={t`Appliances`} isFlush>
      {list.problem ? <ProblemAlert problem={list.problem} /> : null}
      <ul className={face.list} data-testid="draft-rows">
        {list.rows.map((row) => (
          <li key={row.uid}>
            <StatusBadge badge={draftRowBadge(row.state)} />
            <Link className={face.link} to={`/appliances/${row.uid}`}>
              {row.base.host_name}
            </Link>
            <span className="quiet">{row.model}</span>
            {namesSites && row.site !== null ? <span className="quiet">{places.site(row.site)}</span> : null}
            <span className={page.grow} />
            <span className="quiet">
              {row.changes.map((column) => fieldName(column as Field)).join(', ')}
            </span>
            {row.reason ? <span className={face.note}>{row.reason}</span> : null}
          </li>
        ))}
      </ul>
      <More list={list} />
    </Card>
  )
}
