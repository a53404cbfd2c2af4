import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import type { Role, RoleAt } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import type { Places } from './places.tsx'
import { useFace } from './session.tsx'
import { roleName } from './words.ts'

const ROLES: readonly Role[] = ['viewer', 'operator', 'administrator']

interface RoleFieldsProps {
  roles: readonly RoleAt[]
  places: Places
  onChange: (roles: RoleAt[]) => void
}

/** Roles, one a line: what, and where. */
export function RoleFields({ roles, places, onChange }: RoleFieldsProps) {
  const { t } = useLingui()
  const { me } = useFace()
  const isOfNoc = me.operator.roles.some((at) => at.organisation === null && at.role === 'administrator')
  const where = [
    ...(isOfNoc ? [{ value: '', label: t`everywhere` }] : []),
    ...places.organisations.map(({ id, name }) => ({ value: `${id}`, label: name })),
    ...places.sites.map(({ id, organisation, policy }) => ({
      value: `${organisation}/${id}`,
      label: `${places.organisation(organisation)}: ${policy.name}`,
    })),
  ]
  const first = places.organisations[0]
  return (
    <>
      {roles.map((at, i) => {
        const set = (change: Partial<RoleAt>) =>
          onChange(roles.map((one, n) => (n === i ? { ...one, ...change } : one)))
        const n = i + 1
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place in the list
          <div key={i} className={page.actions}>
            <NativeSelect
              aria-label={t`Role ${n}`}
              value={at.role}
              onChange={(event) => set({ role: event.currentTarget.value as Role })}
              data={ROLES.map((role) => ({ value: role, label: roleName(role) }))}
            />
            <NativeSelect
              className={face.wide}
              aria-label={t`Where role ${n} holds`}
              value={
                at.organisation === null
                  ? ''
                  : at.site === null
                    ? `${at.organisation}`
                    : `${at.organisation}/${at.site}`
              }
              onChange={(event) => {
                const [organisation = '', site] = event.currentTarget.value.split('/')
                set({
                  organisation: organisation === '' ? null : Number(organisation),
                  site: site === undefined ? null : Number(site),
                })
              }}
              data={where}
            />
            <Button
              variant="default"
              aria-label={t`Remove role ${n}`}
              onClick={() => onChange(roles.filter((_, n) => n !== i))}
            >
              <IconX size={14} aria-hidden />
            </Button>
          </div>
        )
      })}
      <div className={page.actions}>
        <Button
          variant="default"
          disabled={!first}
          onClick={() =>
            onChange([...roles, { role: 'viewer', organisation: first?.id ?? null, site: null }])
          }
        >
          <Trans>Add a role</Trans>
        </Button>
      </div>
    </>
  )
}
