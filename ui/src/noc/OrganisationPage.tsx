import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { type FormEvent, useCallback, useMemo } from 'react'
import { useParams } from 'react-router'
import type { OrganisationPolicy, Versioned } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { CsvImport } from './CsvImport.tsx'
import { Conflict, useEditing } from './editing.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { MonitoringEditor } from './MonitoringEditor.tsx'
import { ProfilesEditor } from './ProfilesEditor.tsx'
import { usePlaces } from './places.tsx'
import { saidFields, textOfPolicy } from './policyFields.ts'
import { Refused } from './Refused.tsx'
import { RemoteWriteEditor } from './RemoteWriteEditor.tsx'
import { SaidValues } from './SaidValues.tsx'
import { BackLink, Card } from './Scaffold.tsx'
import { may, useFace } from './session.tsx'

const CONCERNS = kinds('organisation')

/** What an organisation says to all of its sites, and its sites as a table. */
export function OrganisationPage() {
  const { id = '' } = useParams()
  return (
    <div className={page.page}>
      <BackLink to="/sites">
        <Trans>Sites</Trans>
      </BackLink>
      <OneOrganisation key={id} id={Number(id)} />
    </div>
  )
}

function OneOrganisation({ id }: { id: number }) {
  const { noc } = useFace()
  const { organisation } = usePlaces()
  const path = `/v1/organisations/${id}/policy`
  const load = useCallback(() => noc.read<OrganisationPolicy>(path), [noc, path])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  return (
    <>
      <header className={page.head}>
        <h1 className={`${page.title} ${face.name}`}>
          {value ? organisation(id) : <Trans>Organisation</Trans>}
        </h1>
      </header>
      {value ? <Editor id={id} known={value} reload={reload} path={path} /> : null}
      {problem ? <ProblemAlert problem={problem} /> : null}
    </>
  )
}

interface EditorProps {
  id: number
  known: Versioned<OrganisationPolicy>
  reload: () => void
  path: string
}

function Editor({ id, known, reload, path }: EditorProps) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const fields = useMemo(() => saidFields(false), [])
  const mayChange = may(me.operator, 'administrator', id)
  const { form, change, isDirty, isSaving, isSaved, problem, save, conflict } = useEditing(known, reload, {
    toForm: (policy: OrganisationPolicy) => policy,
    isSame: (a, b) => textOfPolicy(a) === textOfPolicy(b),
    put: (_, policy, tag) => noc.change<OrganisationPolicy>('PUT', path, tag, policy),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save()
  }
  return (
    <div className={face.stack}>
      <p className={page.lead}>
        <Trans>
          Each site says which values it has from its organisation. A change is checked against all of them:
          if it does not fit one, nothing is changed.
        </Trans>
      </p>
      {conflict ? <Conflict {...conflict} /> : null}
      {problem ? <Refused problem={problem} /> : null}
      <form className={face.stack} onSubmit={submit} noValidate data-testid="organisation-form">
        <Card title={t`Of every model`}>
          <SaidValues
            fields={fields}
            values={form.values}
            onChange={(values) => change({ ...form, values })}
            isReadOnly={!mayChange}
            unsaid={t`the default`}
            testid="said"
          />
        </Card>
        <h2 className={face.part}>
          <Trans>Of single models</Trans>
        </h2>
        <ProfilesEditor
          fields={fields}
          profiles={form.profiles}
          onChange={(profiles) => change({ ...form, profiles })}
          isReadOnly={!mayChange}
        />
        <div className={page.actions}>
          {mayChange ? (
            <Button type="submit" loading={isSaving} disabled={!isDirty} data-testid="organisation-save">
              <Trans>Save</Trans>
            </Button>
          ) : (
            <span className="quiet">
              <Trans>Administrators of the organisation change this.</Trans>
            </span>
          )}
          {isSaved ? (
            <span className="quiet" data-testid="organisation-saved">
              <Trans>Saved. Settings in force stay as they are until an appliance is configured anew.</Trans>
            </span>
          ) : null}
        </div>
      </form>
      <h2 className={face.part}>
        <Trans>When silence is told</Trans>
      </h2>
      <MonitoringEditor path={`/v1/organisations/${id}/monitoring`} mayChange={mayChange} />
      {mayChange ? (
        <>
          <h2 className={face.part}>
            <Trans>What other programs are told</Trans>
          </h2>
          <RemoteWriteEditor id={id} />
        </>
      ) : null}
      <SitesTable id={id} mayChange={mayChange} />
    </div>
  )
}

/** The sites as a file for a spreadsheet, and back. */
function SitesTable({ id, mayChange }: { id: number; mayChange: boolean }) {
  const { t } = useLingui()
  const { noc } = useFace()
  const take = async (csv: string) => {
    const body = { organisation: id, csv }
    const { added, changed, unchanged } = await noc.post<Report>('/v1/sites/import', body)
    return t`${added} added, ${changed} changed, ${unchanged} as they were.`
  }
  return (
    <Card
      title={t`Its sites as a table`}
      tools={
        <Button
          component="a"
          href={`/v1/sites.csv?organisation=${id}`}
          download="sites.csv"
          size="compact-xs"
          variant="default"
          leftSection={<IconDownload size={14} aria-hidden />}
          data-testid="sites-export"
        >
          <Trans>Export</Trans>
        </Button>
      }
    >
      {mayChange ? (
        <CsvImport
          label={t`Sites as CSV`}
          hint={
            <Trans>
              Columns as in the export. Sites are known by their names; a column that is not there stays as it
              is. Every line is taken, or none.
            </Trans>
          }
          testid="sites-import"
          onImport={take}
        />
      ) : (
        <span className="quiet">
          <Trans>Administrators of the organisation take in tables of sites.</Trans>
        </span>
      )}
    </Card>
  )
}

interface Report {
  added: number
  changed: number
  unchanged: number
}
