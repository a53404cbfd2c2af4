import { Trans } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { type FormEvent, useCallback, useMemo, useState } from 'react'
import type { Profile, Versioned } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { Conflict, useEditing } from './editing.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { Preview } from './Preview.tsx'
import { ProfilesEditor } from './ProfilesEditor.tsx'
import { saidFields, textOfProfiles } from './policyFields.ts'
import { Refused } from './Refused.tsx'
import { useSite } from './SitePage.tsx'
import { useFace } from './session.tsx'

const CONCERNS = kinds('site')

interface Profiles {
  profiles: Profile[]
}

/** What a site says of single models. */
export function SiteModels() {
  const { noc } = useFace()
  const { path } = useSite()
  const own = `${path}/profiles`
  const load = useCallback(() => noc.read<Profiles>(own), [noc, own])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  if (value) return <Editor known={value} reload={reload} own={own} />
  return problem ? <ProblemAlert problem={problem} /> : null
}

function Editor({ known, reload, own }: { known: Versioned<Profiles>; reload: () => void; own: string }) {
  const { noc } = useFace()
  const { path, mayChange } = useSite()
  const fields = useMemo(() => saidFields(true), [])
  const [thought, setThought] = useState<Profile[] | null>(null)
  const { form, change, isDirty, isSaving, isSaved, problem, save, conflict } = useEditing(known, reload, {
    toForm: ({ profiles }: Profiles) => profiles,
    isSame: (a, b) => textOfProfiles(a) === textOfProfiles(b),
    put: (_, profiles, tag) => noc.change<Profiles>('PUT', own, tag, { profiles }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save()
  }
  return (
    <>
      <p className={page.lead}>
        <Trans>
          What is said of a model here counts before anything else that is said of this site's appliances.
        </Trans>
      </p>
      {conflict ? <Conflict {...conflict} /> : null}
      {problem ? <Refused problem={problem} /> : null}
      <form onSubmit={submit} noValidate data-testid="models-form">
        <ProfilesEditor
          fields={fields}
          profiles={form}
          isReadOnly={!mayChange}
          onChange={(profiles) => {
            change(profiles)
            setThought(null)
          }}
        />
        <div className={page.actions}>
          {mayChange ? (
            <>
              <Button type="submit" loading={isSaving} disabled={!isDirty} data-testid="models-save">
                <Trans>Save</Trans>
              </Button>
              <Button
                variant="default"
                disabled={!isDirty}
                data-testid="models-try"
                onClick={() => setThought(form)}
              >
                <Trans>What would that change?</Trans>
              </Button>
            </>
          ) : null}
          {isSaved ? (
            <span className="quiet" data-testid="models-saved">
              <Trans>Saved. Settings in force stay as they are until an appliance is configured anew.</Trans>
            </span>
          ) : null}
        </div>
      </form>
      {thought ? (
        <div className={face.below}>
          <Preview path={path} thought={{ profiles: thought }} />
        </div>
      ) : null}
    </>
  )
}
