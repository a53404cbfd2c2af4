import { Trans, useLingui } from '@lingui/react/macro'
import { SegmentedControl, useMantineColorScheme } from '@mantine/core'
import { useFleet, useSession } from '../store/context.tsx'
import { NotificationSettings } from './NotificationSettings.tsx'
import page from './page.module.css'

/** How Muster looks, where its NOC is, which version it is. */
export function SettingsPage() {
  const { t } = useLingui()
  const { start } = useSession()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const noc = useFleet((s) => s.noc)
  const sites = useFleet((s) => s.sites)
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Settings</Trans>
        </h1>
      </header>
      <div className={page.cards}>
        <section className={page.card}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Appearance</Trans>
            </h2>
          </div>
          <div className={page.cardBody}>
            <SegmentedControl
              aria-label={t`Colours`}
              data-testid="colour-scheme"
              value={colorScheme}
              onChange={(value) => setColorScheme(value === 'light' || value === 'dark' ? value : 'auto')}
              data={[
                { value: 'auto', label: t`As the system` },
                { value: 'light', label: t`Light` },
                { value: 'dark', label: t`Dark` },
              ]}
            />
          </div>
        </section>
        <NotificationSettings />
        <section className={page.card}>
          <div className={page.cardHead}>
            <h2>
              <Trans>About</Trans>
            </h2>
          </div>
          <div className={page.cardBody}>
            <dl className={page.facts}>
              <dt>{t`Version`}</dt>
              <dd data-testid="version">Muster {start.version}</dd>
              <dt>{t`NOC`}</dt>
              <dd>{noc.kind === 'not_joined' ? t`Not joined` : noc.url}</dd>
            </dl>
          </div>
        </section>
        {sites.map((site) => (
          <section className={page.card} key={site.id}>
            <div className={page.cardHead}>
              {/* Not `Trans`: it would take markup in a value for one of its own elements. */}
              <h2>{t`Site: ${site.name}`}</h2>
            </div>
            <div className={page.cardBody}>
              {site.policy.map((line) => (
                <div key={line}>{line}</div>
              ))}
            </div>
          </section>
        ))}
      </div>
    </div>
  )
}
