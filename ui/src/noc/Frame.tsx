import { Trans, useLingui } from '@lingui/react/macro'
import { useMantineColorScheme } from '@mantine/core'
import {
  IconBell,
  IconCalendarStats,
  IconDeviceDesktop,
  IconFileDiff,
  IconListDetails,
  IconLogout,
  IconMapPin,
  IconNotes,
  IconPackage,
  IconPlugConnectedX,
  IconPuzzle,
  IconSend,
  IconSunMoon,
  IconUser,
  IconUsers,
} from '@tabler/icons-react'
import { type ReactNode, useCallback, useEffect } from 'react'
import { NavLink, Outlet, useLocation } from 'react-router'
import type { Alert, Page } from '../backend/noc.ts'
import { Logo } from '../components/Logo.tsx'
import { useShortcut } from '../components/shortcuts.ts'
import { When } from '../components/When.tsx'
import classes from '../Shell.module.css'
import { useLost } from './live.ts'
import { kinds, useLoaded } from './loading.ts'
import { PlacesProvider } from './places.tsx'
import { may, useFace } from './session.tsx'

const ALERTS_SHOWN = 100
const ALERTS = kinds('alert')

const isWaiting = (alert: Alert) => alert.acknowledged === null && alert.silenced_until === null

/** The frame around every page of the NOC: rail, who is signed in, and whether what is shown is of now. */
export function Frame() {
  const { t } = useLingui()
  const { noc, me, signOut } = useFace()
  const load = useCallback(
    () => noc.get<Page<Alert>>('/v1/alerts', { open: true, limit: ALERTS_SHOWN }),
    [noc],
  )
  const open = useLoaded(load, ALERTS).value
  const count = open ? open.items.filter(isWaiting).length : 0
  useShortcut('/', () => document.querySelector<HTMLInputElement>('input[data-search]')?.focus())
  usePageTitle()

  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        <Trans>Skip to content</Trans>
      </a>
      <nav className={classes.rail} aria-label={t`Main`}>
        <div className={classes.brand}>
          <Logo />
          <span className={classes.label}>Muster NOC</span>
        </div>
        <RailLink to="/" testid="nav-appliances" icon={<IconListDetails />} label={t`Appliances`} />
        <RailLink
          to="/alerts"
          testid="nav-alerts"
          icon={<IconBell />}
          label={t`Alerts`}
          badge={count === 0 ? '' : open?.next ? `${ALERTS_SHOWN}+` : String(count)}
        />
        <RailLink to="/sites" testid="nav-sites" icon={<IconMapPin />} label={t`Sites`} />
        <RailLink
          to="/availability"
          testid="nav-availability"
          icon={<IconCalendarStats />}
          label={t`Availability`}
        />
        <RailLink to="/components" testid="nav-components" icon={<IconPackage />} label={t`Components`} />
        <RailLink to="/drafts" testid="nav-drafts" icon={<IconFileDiff />} label={t`Drafts`} />
        <RailLink to="/consoles" testid="nav-consoles" icon={<IconDeviceDesktop />} label={t`Consoles`} />
        <RailLink to="/applets" testid="nav-applets" icon={<IconPuzzle />} label={t`Applets`} />
        {may(me.operator, 'administrator') ? (
          <>
            <RailLink to="/channels" testid="nav-channels" icon={<IconSend />} label={t`Channels`} />
            <RailLink to="/operators" testid="nav-operators" icon={<IconUsers />} label={t`Operators`} />
            <RailLink to="/audit" testid="nav-audit" icon={<IconNotes />} label={t`Audit log`} />
          </>
        ) : null}
        <div className={classes.spacer} />
        <SchemeButton />
        <RailLink to="/me" testid="nav-me" icon={<IconUser />} label={me.operator.name} />
        <button
          type="button"
          className={classes.link}
          onClick={signOut}
          data-testid="sign-out"
          style={BUTTON}
        >
          <IconLogout />
          <span className={classes.label}>
            <Trans>Sign out</Trans>
          </span>
        </button>
      </nav>
      <div className={classes.main}>
        <LostBanner />
        <main id="content" className={classes.content} tabIndex={-1}>
          <PlacesProvider>
            <Outlet />
          </PlacesProvider>
        </main>
      </div>
    </div>
  )
}

const BUTTON = { background: 'none', border: 0, cursor: 'pointer', textAlign: 'left' } as const

/** The window is called after the page, so that tabs and screen readers tell them apart. */
function usePageTitle() {
  const { pathname } = useLocation()
  // biome-ignore lint/correctness/useExhaustiveDependencies: each page has its own heading
  useEffect(() => {
    const heading = document.querySelector('#content h1')?.textContent
    document.title = heading ? `${heading} · Muster NOC` : 'Muster NOC'
  }, [pathname])
}

interface RailLinkProps {
  to: string
  testid: string
  icon: ReactNode
  label: string
  badge?: string
}

function RailLink({ to, testid, icon, label, badge = '' }: RailLinkProps) {
  return (
    <NavLink to={to} end={to === '/'} className={classes.link ?? ''} data-testid={testid} title={label}>
      {icon}
      <span className={classes.label}>{label}</span>
      {badge === '' ? null : (
        <span className={classes.count} data-testid={`${testid}-count`}>
          {badge}
        </span>
      )}
    </NavLink>
  )
}

function SchemeButton() {
  const { t } = useLingui()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const next = { auto: 'light', light: 'dark', dark: 'auto' } as const
  const label = { auto: t`Colours: system`, light: t`Colours: light`, dark: t`Colours: dark` }
  return (
    <button
      type="button"
      className={classes.link}
      style={BUTTON}
      data-testid="scheme"
      onClick={() => setColorScheme(next[colorScheme])}
    >
      <IconSunMoon />
      <span className={classes.label}>{label[colorScheme]}</span>
    </button>
  )
}

function LostBanner() {
  const lost = useLost()
  if (lost === null) return null
  return (
    <div className={classes.lost} role="alert" data-testid="noc-lost">
      <IconPlugConnectedX size={18} aria-hidden />
      <div>
        <strong>
          <Trans>
            Connection to the NOC lost <When at={lost} exact />
          </Trans>
        </strong>
        <div>
          <Trans>The values shown may be old. They are read anew as soon as the NOC answers.</Trans>
        </div>
      </div>
    </div>
  )
}
