import { Trans, useLingui } from '@lingui/react/macro'
import { Button, TextInput } from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useState } from 'react'
import type { Profile } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import face from './face.module.css'
import type { PolicyField } from './policyFields.ts'
import { SaidValues } from './SaidValues.tsx'
import { Card } from './Scaffold.tsx'

interface Props {
  fields: readonly PolicyField[]
  profiles: readonly Profile[]
  onChange: (profiles: Profile[]) => void
  isReadOnly: boolean
}

/** What one place says of single models. */
export function ProfilesEditor({ fields, profiles, onChange, isReadOnly }: Props) {
  const { t } = useLingui()
  const [model, setModel] = useState('')
  const name = model.trim()
  const isKnown = profiles.some((profile) => keyOf(profile.model) === keyOf(name))
  const add = () => {
    onChange([...profiles, { model: name, values: {} }])
    setModel('')
  }
  return (
    <div className={face.stack}>
      {profiles.map((profile, n) => (
        <Card
          key={profile.model}
          title={profile.model}
          tools={
            isReadOnly ? null : (
              <Button
                size="compact-xs"
                variant="default"
                leftSection={<IconTrash size={14} aria-hidden />}
                aria-label={t`Remove ${profile.model}`}
                data-testid={`profile-remove-${n}`}
                onClick={() => onChange(profiles.filter((_, at) => at !== n))}
              >
                <Trans>Remove</Trans>
              </Button>
            )
          }
        >
          <SaidValues
            fields={fields}
            values={profile.values}
            isReadOnly={isReadOnly}
            unsaid={t`as for other models`}
            testid={`profile-${n}`}
            onChange={(values) => onChange(profiles.map((one, at) => (at === n ? { ...one, values } : one)))}
          />
        </Card>
      ))}
      {profiles.length === 0 ? (
        <p className="quiet">
          <Trans>Nothing is said of single models here.</Trans>
        </p>
      ) : null}
      {isReadOnly ? null : (
        <div className={page.actions}>
          <TextInput
            miw={260}
            aria-label={t`Model`}
            placeholder={t`Model, as the manifest names it`}
            maxLength={64}
            spellCheck={false}
            data-testid="profile-model"
            error={isKnown ? t`It is here already.` : undefined}
            value={model}
            onChange={(event) => setModel(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter') return
              event.preventDefault()
              if (name !== '' && !isKnown) add()
            }}
          />
          <Button
            variant="default"
            disabled={name === '' || isKnown}
            leftSection={<IconPlus size={15} aria-hidden />}
            data-testid="profile-add"
            onClick={add}
          >
            <Trans>Add a model</Trans>
          </Button>
        </div>
      )}
    </div>
  )
}

/** Models are compared as the NOC does. */
const keyOf = (model: string) => model.trim().toLowerCase()
