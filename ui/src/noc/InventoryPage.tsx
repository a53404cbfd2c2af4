import { Trans, useLingui } from '@lingui/react/macro'
import { NativeSelect } from '@mantine/core'
import { useState } from 'react'
import page from '../pages/page.module.css'
import { CsvImport } from './CsvImport.tsx'
import face from './face.module.css'
import { usePlaces } from './places.tsx'
import { BackLink } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

interface Report {
  added: number
  updated: number
  unchanged: number
}

/** Takes in what a vendor says of appliances. */
export function InventoryPage() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const { organisations } = usePlaces()
  const own = organisations.filter(({ id }) => may(me.operator, 'operator', id))
  const [chosen, setChosen] = useState('')
  const organisation = chosen || String(own[0]?.id ?? '')
  const take = async (csv: string) => {
    const body = { organisation: Number(organisation), csv }
    const { added, updated, unchanged } = await noc.post<Report>('/v1/inventory/import', body)
    return t`${added} added, ${updated} updated, ${unchanged} as they were.`
  }
  return (
    <div className={page.page}>
      <BackLink to="/">
        <Trans>Appliances</Trans>
      </BackLink>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Import a manifest</Trans>
        </h1>
      </header>
      <p className={page.lead}>
        <Trans>
          The vendor's manifest names appliances before they are switched on, with the codes of their labels.
          Appliances that are known already get what is new in it.
        </Trans>
      </p>
      {own.length === 0 ? (
        <p className="quiet">
          <Trans>Operators of a whole organisation take in its manifests.</Trans>
        </p>
      ) : (
        <div className={face.stack}>
          {own.length > 1 ? (
            <NativeSelect
              className={page.form}
              label={t`Organisation`}
              data-testid="manifest-organisation"
              value={organisation}
              onChange={(event) => setChosen(event.currentTarget.value)}
              data={own.map(({ id, name }) => ({ value: String(id), label: name }))}
            />
          ) : null}
          <CsvImport
            label={t`Manifest as CSV`}
            hint={
              <Trans>
                Columns serial, mac, uid, claim, and model and voucher if there are any, in any order. Every
                line is taken, or none.
              </Trans>
            }
            testid="manifest"
            onImport={take}
          />
        </div>
      )}
    </div>
  )
}
