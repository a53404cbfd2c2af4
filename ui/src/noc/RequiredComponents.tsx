import { Trans, useLingui } from '@lingui/react/macro'
import { useCallback } from 'react'
import type { Changes, Versioned } from '../backend/noc.ts'
import type { ComponentPolicy, RequiredComponent } from '../backend/nocComponents.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { span } from '../domain/time.ts'
import face from './face.module.css'
import { useLoaded } from './loading.ts'
import { usePlaces } from './places.tsx'
import { Card } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

interface Props {
  organisation: string
  /** Empty for none. */
  site: string
  concerns: (changes: Changes) => boolean
}

interface Line extends RequiredComponent {
  where: string
}

/** What an organisation requires, and the site that is looked at. */
export function RequiredComponents({ organisation, site, concerns }: Props) {
  const { t, i18n } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  // Who sees single sites only is not told what the whole organisation says.
  const seesWhole = may(me.operator, 'viewer', Number(organisation))
  const load = useCallback(async () => {
    const read = (path: string) => noc.read<ComponentPolicy>(path)
    const none: Versioned<ComponentPolicy> = { value: {}, tag: '' }
    const [above, own] = await Promise.all([
      seesWhole ? read(`/v1/organisations/${organisation}/components`) : none,
      site ? read(`/v1/sites/${site}/components`) : none,
    ])
    return { above: above.value, own: own.value }
  }, [noc, organisation, site, seesWhole])
  const { value, problem } = useLoaded(load, concerns)
  if (problem) return <ProblemAlert problem={problem} />
  if (!value) return null
  const of = (policy: ComponentPolicy, where: string): Line[] =>
    (policy.required ?? []).map((line) => ({ ...line, where }))
  const lines = [
    ...of(value.own, site ? places.site(Number(site)) : ''),
    ...of(value.above, places.organisation(Number(organisation))),
  ]
  const what = ({ channel, version }: Line) => {
    if (version) return version
    if (channel === 'stable') return t`stable channel`
    return channel === 'test' ? t`test channel` : t`nothing`
  }
  const how = ({ waves }: Line) => {
    if (!waves) return t`all at once`
    const soak = span(waves.soak_s, i18n.locale)
    const limit = waves.halt_at
    return t`${waves.waves.join(', ')}; ${soak} each; halts above ${limit}`
  }
  return (
    <Card title={t`What is required`} isFlush>
      {lines.length === 0 ? (
        <p className={`quiet ${face.more}`} data-testid="required-none">
          <Trans>Nothing is required here.</Trans>
        </p>
      ) : (
        <table className={face.table} data-testid="required">
          <thead>
            <tr>
              <th scope="col">
                <Trans>Component</Trans>
              </th>
              <th scope="col">
                <Trans>Required</Trans>
              </th>
              <th scope="col">
                <Trans>Of</Trans>
              </th>
              <th scope="col">
                <Trans>A change goes out</Trans>
              </th>
            </tr>
          </thead>
          <tbody>
            {lines.map((line) => (
              <tr key={`${line.where} ${line.name} ${line.model ?? ''}`}>
                <th scope="row">{line.name}</th>
                <td>{what(line)}</td>
                <td>
                  {line.where}
                  {line.model ? `, ${line.model}` : ''}
                </td>
                <td>{line.channel || line.version ? how(line) : ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  )
}
