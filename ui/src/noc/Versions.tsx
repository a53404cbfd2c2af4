import { Trans, useLingui } from '@lingui/react/macro'
import { Button, TextInput } from '@mantine/core'
import { type FormEvent, useCallback, useState } from 'react'
import { type NocProblem, type Page, toNocProblem, type Version } from '../backend/noc.ts'
import { useAnnounce } from '../components/Announcer.tsx'
import { ApplicationDocument } from '../components/ApplicationDocument.tsx'
import { fieldName } from '../components/fields.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import type { Field } from '../domain/settings.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { useLiveList } from './loading.ts'
import { Card, More } from './Scaffold.tsx'
import { useFace } from './session.tsx'
import { versionBadge } from './words.ts'

interface Props {
  uid: string
  mayGoBack: boolean
}

/** Every configuration of an appliance, newest first, and the way back to one. */
export function Versions({ uid, mayGoBack }: Props) {
  const { t } = useLingui()
  const { noc } = useFace()
  const path = `/v1/appliances/${encodeURIComponent(uid)}`
  const load = useCallback(
    (after: string | null, limit: number) => noc.get<Page<Version>>(`${path}/versions`, { after, limit }),
    [noc, path],
  )
  const list = useLiveList(load, (changes) => changes.appliances.some((row) => row.uid === uid))
  const [going, setGoing] = useState<number | null>(null)
  if (list.isReady && list.rows.length === 0) return null
  return (
    <div className={face.below}>
      <Card title={t`Versions`} isFlush>
        {list.problem ? <ProblemAlert problem={list.problem} /> : null}
        <ul className={face.list} data-testid="versions">
          {list.rows.map((version) => (
            <li key={version.version} data-testid="version">
              <span className={face.name}>{version.version}</span>
              <StatusBadge badge={versionBadge(version)} />
              <span className="mono">
                {version.settings.host_name} {version.settings.address}
              </span>
              <span className={page.grow} />
              <span className="quiet">
                {version.who}, <When at={version.signed} exact />
              </span>
              {mayGoBack && !version.is_in_force && going !== version.version ? (
                <Button
                  variant="default"
                  onClick={() => setGoing(version.version)}
                  data-testid={`back-${version.version}`}
                >
                  <Trans>Back to this…</Trans>
                </Button>
              ) : null}
              <span className={`${face.note} quiet`}>
                {[version.why, version.changes.map((column) => fieldName(column as Field)).join(', ')]
                  .filter((text) => text !== '')
                  .join(' · ')}
              </span>
              {version.settings.application ? (
                <details className={face.note} data-testid="version-application">
                  <summary>{fieldName('application')}</summary>
                  <ApplicationDocument text={version.settings.application} />
                </details>
              ) : null}
              {going === version.version ? (
                <GoBack path={path} version={version.version} onDone={() => setGoing(null)} />
              ) : null}
            </li>
          ))}
        </ul>
        <More list={list} />
      </Card>
    </div>
  )
}

function GoBack({ path, version, onDone }: { path: string; version: number; onDone: () => void }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const announce = useAnnounce()
  const [why, setWhy] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const go = async (event: FormEvent) => {
    event.preventDefault()
    try {
      await noc.post(`${path}/rollback`, { version, why: why.trim() })
      announce(t`The settings go out with the answer to its next beat.`)
      onDone()
    } catch (reason) {
      setProblem(toNocProblem(reason))
    }
  }
  return (
    <form className={face.note} onSubmit={go}>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <TextInput
        label={t`Why`}
        autoFocus
        data-testid="back-why"
        value={why}
        onChange={(event) => setWhy(event.currentTarget.value)}
      />
      <div className={page.actions}>
        <Button type="submit" data-testid="back-go">
          <Trans>Give it these settings</Trans>
        </Button>
        <Button variant="default" onClick={onDone}>
          <Trans>Cancel</Trans>
        </Button>
      </div>
    </form>
  )
}
