import { Trans } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { useMemo, useState } from 'react'
import { Link } from 'react-router'
import type { Policy, SiteView } from '../backend/noc.ts'
import { Conflict, useEditing } from './editing.tsx'
import face from './face.module.css'
import { PolicyForm } from './PolicyForm.tsx'
import { Preview } from './Preview.tsx'
import { usePlaces } from './places.tsx'
import { isSame, policyFields, toPolicy, toValues } from './policyFields.ts'
import { useSite } from './SitePage.tsx'
import { may, useFace } from './session.tsx'

/** A site's own policy, to be changed, and what a change would mean before it is made. */
export function SitePolicy() {
  const { known, reload, path, mayChange } = useSite()
  const { noc, me } = useFace()
  const { organisation: nameOf } = usePlaces()
  const fields = useMemo(policyFields, [])
  const editing = useEditing(known, reload, {
    toForm: (site: SiteView) => toValues(fields, site.policy),
    isSame,
    put: (site, values, tag) => noc.change<SiteView>('PUT', path, tag, toPolicy(fields, site.policy, values)),
  })
  const { begun, form, change, isDirty, isSaving, isSaved, problem, save, conflict } = editing
  const [thought, setThought] = useState<Policy | null>(null)
  const { organisation } = begun
  return (
    <>
      {conflict ? <Conflict {...conflict} /> : null}
      <PolicyForm
        fields={fields}
        values={form}
        onChange={(values) => {
          change(values)
          setThought(null)
        }}
        problem={problem}
        isReadOnly={!mayChange}
        onSubmit={save}
        above={
          may(me.operator, 'viewer', organisation) ? (
            <Link className={face.link} to={`/organisations/${organisation}`}>
              <Trans>What {nameOf(organisation)} says</Trans>
            </Link>
          ) : null
        }
      >
        {mayChange ? (
          <>
            <Button type="submit" loading={isSaving} disabled={!isDirty} data-testid="site-save">
              <Trans>Save</Trans>
            </Button>
            <Button
              variant="default"
              disabled={!isDirty}
              data-testid="site-try"
              onClick={() => setThought(toPolicy(fields, begun.policy, form))}
            >
              <Trans>What would that change?</Trans>
            </Button>
            {isSaved ? (
              <span className="quiet" data-testid="site-saved">
                <Trans>
                  Saved. Settings in force stay as they are until an appliance is configured anew.
                </Trans>
              </span>
            ) : null}
          </>
        ) : (
          <span className="quiet">
            <Trans>Administrators of the site change this.</Trans>
          </span>
        )}
      </PolicyForm>
      {thought ? (
        <div className={face.below}>
          <Preview path={path} thought={{ policy: thought }} />
        </div>
      ) : null}
    </>
  )
}
