import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useCallback, useState } from 'react'
import { Link } from 'react-router'
import type { Appliance } from '../backend/noc.ts'
import type { ApplianceRole } from '../backend/nocRetirement.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { Facts } from './Facts.tsx'
import face from './face.module.css'
import { useLoaded } from './loading.ts'
import { ReplacementDialog } from './ReplacementDialog.tsx'
import { RetirementDialog } from './RetirementDialog.tsx'
import { Card } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

/** How an appliance's service ends: another one takes over, it forgets everything, or its site lets it go. */
type Ending = 'replace' | 'decommission' | 'release'

export function Retirement({ row }: { row: Appliance }) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const path = `/v1/appliances/${encodeURIComponent(row.uid)}`
  const load = useCallback(() => noc.get<ApplianceRole>(`${path}/role`), [noc, path])
  const { value, problem } = useLoaded(load, ({ appliances }) =>
    appliances.some(({ uid }) => uid === row.uid),
  )
  const [ending, setEnding] = useState<Ending | null>(null)
  const mayEnd = may(me.operator, 'operator', row.organisation, row.site === null ? [] : [row.site])
  const isRetired = row.provisioning === 'decommissioned' || row.provisioning === 'replaced'
  const serves = row.settings !== null && row.site !== null && !isRetired
  const words: Record<Ending, string> = {
    replace: t`Replace…`,
    decommission: t`Decommission…`,
    release: t`Release…`,
  }
  const endings: Ending[] = !mayEnd
    ? []
    : serves
      ? ['replace', 'decommission', 'release']
      : row.site !== null || isRetired
        ? ['release']
        : []
  const planned = value?.takes_over
  const heir = value?.replaced_by
  if (endings.length === 0 && !planned && !heir && !problem) return null
  const close = () => setEnding(null)
  return (
    <div className={face.below} data-testid="retirement">
      <Card title={t`Replacement and end of service`}>
        {problem ? <ProblemAlert problem={problem} /> : null}
        <Facts
          facts={[
            [
              t`Takes over`,
              planned ? (
                <span key="planned" data-testid="takes-over">
                  <Trans>
                    {planned.host_name} ({planned.address}), once it is configured from a console of its site
                  </Trans>
                </span>
              ) : (
                ''
              ),
            ],
            [
              t`Replaced by`,
              heir ? (
                <Link
                  key="heir"
                  className={`${face.link} mono`}
                  to={`/appliances/${heir}`}
                  data-testid="replaced-by"
                >
                  {heir}
                </Link>
              ) : (
                ''
              ),
            ],
          ]}
        />
        {endings.length > 0 ? (
          <div className={page.actions}>
            {endings.map((one) => (
              <Button key={one} variant="default" data-testid={one} onClick={() => setEnding(one)}>
                {words[one]}
              </Button>
            ))}
          </div>
        ) : null}
      </Card>
      {ending === 'replace' ? <ReplacementDialog row={row} onClose={close} /> : null}
      {ending === 'decommission' || ending === 'release' ? (
        <RetirementDialog row={row} ending={ending} onClose={close} />
      ) : null}
    </div>
  )
}
