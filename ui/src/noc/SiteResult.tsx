import { Trans, useLingui } from '@lingui/react/macro'
import { NativeSelect } from '@mantine/core'
import { useCallback, useState } from 'react'
import type { EffectivePolicy } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { Preview } from './Preview.tsx'
import { policyFields } from './policyFields.ts'
import { Card } from './Scaffold.tsx'
import { useSite } from './SitePage.tsx'
import { useFace } from './session.tsx'
import { sourceName } from './words.ts'

const CONCERNS = kinds('site', 'organisation')

/** What a site's policy comes to, and what its appliances would get by it. */
export function SiteResult() {
  const { path } = useSite()
  return (
    <div className={face.stack}>
      <Effective path={path} />
      <Preview path={path} />
    </div>
  )
}

/** Every value for a model, and which place says it. */
function Effective({ path }: { path: string }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const load = useCallback(() => noc.get<{ policies: EffectivePolicy[] }>(`${path}/effective`), [noc, path])
  const { value, problem } = useLoaded(load, CONCERNS)
  const [model, setModel] = useState('')
  const policies = value?.policies ?? []
  const chosen = policies.find((one) => (one.model ?? '') === model) ?? policies[0]
  return (
    <Card
      title={t`What the policy comes to`}
      isFlush
      tools={
        policies.length > 1 ? (
          <NativeSelect
            size="xs"
            aria-label={t`Model`}
            data-testid="effective-model"
            value={chosen?.model ?? ''}
            onChange={(event) => setModel(event.currentTarget.value)}
            data={policies.map(({ model: name = '' }) => ({
              value: name,
              label: name || t`every other model`,
            }))}
          />
        ) : null
      }
    >
      {problem ? <ProblemAlert problem={problem} /> : null}
      {chosen ? (
        <table className={face.table} data-testid="effective">
          <thead>
            <tr>
              <th scope="col">
                <Trans>Value</Trans>
              </th>
              <th scope="col">
                <Trans>is</Trans>
              </th>
              <th scope="col">
                <Trans>said by</Trans>
              </th>
            </tr>
          </thead>
          <tbody>
            {policyFields().map(({ name, label, choices }) => {
              const found = chosen.values[name]
              if (!found) return null
              const shown = choices?.find((one) => one.value === found.value.replace(/^image$/, ''))
              return (
                <tr key={name}>
                  <th scope="row">{label}</th>
                  <td>{shown?.label ?? (found.value || <span className="quiet">–</span>)}</td>
                  <td className="quiet">{sourceName(found.source)}</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      ) : null}
    </Card>
  )
}
