import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Checkbox, NativeSelect } from '@mantine/core'
import { type FormEvent, useCallback, useState } from 'react'
import { type NocProblem, type Page, toNocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { When } from '../components/When.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import { Once } from './Once.tsx'
import { usePlaces } from './places.tsx'
import { may, useFace } from './session.tsx'

interface Invite {
  id: string
  organisation: number
  sites: number[]
  expires: number
}

const CONCERNS = kinds('invite', 'console')
const HOURS = [1, 24, 168]

/** Makes an invite for one console, and shows its text this once. */
export function InviteForm({ onDone }: { onDone: () => void }) {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  const own = places.sites.filter((site) => may(me.operator, 'operator', site.organisation, [site.id]))
  const [chosen, setChosen] = useState<number[]>([])
  const [hours, setHours] = useState(24)
  const [text, setText] = useState('')
  const [problem, setProblem] = useState<NocProblem | null>(null)
  const [isSaving, setSaving] = useState(false)
  // A console is of one organisation; the first choice decides of which.
  const organisation = own.find((site) => site.id === chosen[0])?.organisation
  const offered = own.filter((site) => organisation === undefined || site.organisation === organisation)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setSaving(true)
    try {
      const made = await noc.post<{ text: string }>('/v1/invites', { sites: chosen, hours })
      setText(made.text)
      setProblem(null)
    } catch (reason) {
      setProblem(toNocProblem(reason))
    } finally {
      setSaving(false)
    }
  }
  return (
    <section className={page.card} aria-label={t`New console`}>
      <div className={page.cardHead}>
        <h2>
          <Trans>New console</Trans>
        </h2>
      </div>
      <div className={page.cardBody}>
        {text ? (
          <Once label={t`Invite`} secret={text} onDone={onDone}>
            <Trans>
              Paste it into the desktop app at its first start, or into <code>muster join -</code>. It is good
              for one console, and shown this once.
            </Trans>
          </Once>
        ) : (
          <form className={page.form} onSubmit={submit} data-testid="invite-form">
            {problem ? <ProblemAlert problem={problem} /> : null}
            <fieldset className={face.choices}>
              <legend>
                <Trans>Sites that it may configure</Trans>
              </legend>
              {offered.map((site) => (
                <Checkbox
                  key={site.id}
                  label={`${site.policy.name} (${places.organisation(site.organisation)})`}
                  checked={chosen.includes(site.id)}
                  onChange={(event) =>
                    setChosen(
                      event.currentTarget.checked
                        ? [...chosen, site.id]
                        : chosen.filter((id) => id !== site.id),
                    )
                  }
                />
              ))}
            </fieldset>
            <NativeSelect
              label={t`Good for`}
              value={String(hours)}
              onChange={(event) => setHours(Number(event.currentTarget.value))}
              data={HOURS.map((value) => ({
                value: String(value),
                label: value === 1 ? t`one hour` : value === 24 ? t`one day` : t`one week`,
              }))}
            />
            <div className={page.actions}>
              <Button
                type="submit"
                loading={isSaving}
                disabled={chosen.length === 0}
                data-testid="invite-save"
              >
                <Trans>Make the invite</Trans>
              </Button>
              <Button variant="default" onClick={onDone}>
                <Trans>Cancel</Trans>
              </Button>
            </div>
          </form>
        )}
      </div>
    </section>
  )
}

/** Invites that wait for their console. Nothing when there are none. */
export function InviteList() {
  const { t } = useLingui()
  const { noc, me } = useFace()
  const places = usePlaces()
  const load = useCallback(() => noc.get<Page<Invite>>('/v1/invites'), [noc])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  const [refused, setRefused] = useState<NocProblem | null>(null)
  const shown = refused ?? problem
  if (!shown && (value?.items.length ?? 0) === 0) return null
  return (
    <section className={page.card} aria-label={t`Invites that wait for their console`}>
      <div className={page.cardHead}>
        <h2>
          <Trans>Invites that wait for their console</Trans>
        </h2>
      </div>
      {shown ? <ProblemAlert problem={shown} /> : null}
      <ul className={face.list} data-testid="invites">
        {value?.items.map((invite) => {
          const sites = invite.sites.map(places.site).join(', ')
          return (
            <li key={invite.id}>
              <span className={`${face.name} ${face.wide}`}>{sites}</span>
              <span className="quiet">
                <Trans>
                  ends <When at={invite.expires} exact />
                </Trans>
              </span>
              {may(me.operator, 'operator', invite.organisation, invite.sites) ? (
                <Button
                  variant="default"
                  aria-label={t`Take back the invite for ${sites}`}
                  onClick={() =>
                    noc
                      .remove(`/v1/invites/${invite.id}`)
                      .then(reload, (reason: unknown) => setRefused(toNocProblem(reason)))
                  }
                >
                  <Trans>Take back</Trans>
                </Button>
              ) : null}
            </li>
          )
        })}
      </ul>
    </section>
  )
}
