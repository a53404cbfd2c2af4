import { Trans, useLingui } from '@lingui/react/macro'
import { NativeSelect, NumberInput, PasswordInput, Textarea, TextInput } from '@mantine/core'
import type { Target } from '../backend/noc.ts'
import page from '../pages/page.module.css'
import { type Draft, PORTS } from './channelFields.ts'
import { targetKind } from './words.ts'

const KINDS: readonly Target['kind'][] = ['email', 'webhook', 'alertmanager']

interface Props {
  draft: Draft
  set: (change: Partial<Draft>) => void
  faults: ReadonlyMap<string, string>
  /** It has a password already, which stays when none is typed. */
  hasSecret: boolean
}

/** Where a channel goes. */
export function TargetFields({ draft, set, faults, hasSecret }: Props) {
  const { t } = useLingui()
  return (
    <>
      <NativeSelect
        label={t`Kind`}
        data-testid="channel-kind"
        value={draft.kind}
        onChange={(event) => set({ kind: event.currentTarget.value as Target['kind'] })}
        data={KINDS.map((kind) => ({ value: kind, label: targetKind(kind) }))}
      />
      {draft.kind === 'email' ? <Email draft={draft} set={set} faults={faults} /> : null}
      {draft.kind === 'email' ? null : (
        <TextInput
          label={draft.kind === 'webhook' ? t`Address` : t`Address of the Alertmanager`}
          description={t`https://…; without encryption only into networks that the NOC's noc.toml allows`}
          required
          withAsterisk={false}
          maxLength={1000}
          data-testid="channel-url"
          value={draft.url}
          onChange={(event) => set({ url: event.currentTarget.value })}
          error={faults.get('url')}
        />
      )}
      {draft.kind === 'webhook' ? (
        <p className={page.lead}>
          <Trans>Every message is signed. The secret is made by the NOC, and shown once.</Trans>
        </p>
      ) : (
        <div className={page.pair}>
          <TextInput
            label={t`Sign in as`}
            description={t`Empty for not at all`}
            maxLength={200}
            autoComplete="off"
            data-testid="channel-user"
            value={draft.user}
            onChange={(event) => set({ user: event.currentTarget.value })}
            error={faults.get('user')}
          />
          <PasswordInput
            label={t`Password`}
            description={hasSecret ? t`Empty keeps the one it has` : t`Never shown again`}
            maxLength={500}
            autoComplete="new-password"
            data-testid="channel-password"
            value={draft.password}
            onChange={(event) => set({ password: event.currentTarget.value })}
            error={faults.get('password')}
          />
        </div>
      )}
      <Textarea
        label={t`Certificates to trust`}
        description={t`PEM, for an authority of your own; empty for those that the NOC's machine trusts`}
        rows={3}
        spellCheck={false}
        data-testid="channel-ca"
        value={draft.ca}
        onChange={(event) => set({ ca: event.currentTarget.value })}
        error={faults.get('ca')}
      />
    </>
  )
}

function Email({ draft, set, faults }: Omit<Props, 'hasSecret'>) {
  const { t } = useLingui()
  return (
    <>
      <div className={page.pair}>
        <TextInput
          label={t`Mail server`}
          required
          withAsterisk={false}
          data-testid="channel-server"
          value={draft.server}
          onChange={(event) => set({ server: event.currentTarget.value })}
          error={faults.get('server')}
        />
        <NativeSelect
          label={t`Encryption`}
          data-testid="channel-security"
          value={draft.security}
          onChange={(event) => {
            const security = event.currentTarget.value as Draft['security']
            // A port that was typed stays.
            const isUsual = draft.port === PORTS[draft.security]
            set({ security, ...(isUsual ? { port: PORTS[security] } : {}) })
          }}
          data={[
            { value: 'starttls', label: t`STARTTLS` },
            { value: 'tls', label: t`TLS from the beginning` },
            { value: 'none', label: t`None` },
          ]}
        />
        <NumberInput
          label={t`Port`}
          min={1}
          max={65535}
          allowDecimal={false}
          hideControls
          data-testid="channel-port"
          value={draft.port}
          onChange={(value) => set({ port: Number(value) })}
          error={faults.get('port')}
        />
      </div>
      <TextInput
        label={t`Sender`}
        placeholder="Muster <muster@example.net>"
        required
        withAsterisk={false}
        data-testid="channel-from"
        value={draft.from}
        onChange={(event) => set({ from: event.currentTarget.value })}
        error={faults.get('from')}
      />
      <Textarea
        label={t`Receivers`}
        description={t`One address a line`}
        required
        withAsterisk={false}
        rows={3}
        spellCheck={false}
        data-testid="channel-to"
        value={draft.to}
        onChange={(event) => set({ to: event.currentTarget.value })}
        error={faults.get('to')}
      />
    </>
  )
}
