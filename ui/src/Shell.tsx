import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, Kbd, Menu, Modal, Table, Text, Tooltip, UnstyledButton } from '@mantine/core'
import {
  IconBell,
  IconChevronDown,
  IconKeyboard,
  IconListDetails,
  IconMessages,
  IconPackageImport,
  IconPlugConnectedX,
  IconSettings,
  IconTestPipe,
} from '@tabler/icons-react'
import { type ReactNode, useEffect, useState } from 'react'
import { NavLink, Outlet, useLocation, useNavigate } from 'react-router'
import { Logo } from './components/Logo.tsx'
import { useShortcut } from './components/shortcuts.ts'
import { When } from './components/When.tsx'
import { summarise } from './domain/job.ts'
import classes from './Shell.module.css'
import { useFleet, useSession } from './store/context.tsx'
import { isRunning } from './store/fleet.ts'
import { useOutcomes } from './store/useOutcomes.ts'

/** The frame around every screen: rail, running jobs, the link to the NOC, and keys that work everywhere. */
export function Shell() {
  const { t } = useLingui()
  const { backend, fleet, start } = useSession()
  const navigate = useNavigate()
  const [helpOpen, setHelpOpen] = useState(false)
  const openAlerts = useFleet((s) => s.alerts).filter((alert) => alert.closed === null).length
  const messages = useFleet((s) => s.messages)
  const underWay = messages.filter((message) => message.state === 'taken').length
  useOutcomes()
  usePageTitle()
  useEffect(
    () => fleet.onNavigate((uid) => void navigate(uid ? `/appliances/${uid}` : '/alerts')),
    [fleet, navigate],
  )
  useShortcut('?', () => setHelpOpen(true))
  useShortcut('/', () => {
    // Already there: at once, so that nothing typed next is lost.
    const search = document.querySelector<HTMLInputElement>('input[data-search]')
    if (search) search.focus()
    else void navigate('/', { state: { focus: 'search' } })
  })
  useShortcut('d', () => {
    void navigate('/')
    backend.discover().catch(() => undefined)
  })

  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        <Trans>Skip to content</Trans>
      </a>
      <nav className={classes.rail} aria-label={t`Main`}>
        <div className={classes.brand}>
          <Logo />
          <span className={classes.label}>Muster</span>
        </div>
        <RailLink to="/" testid="nav-appliances" icon={<IconListDetails />} label={t`Appliances`} />
        <RailLink
          to="/alerts"
          testid="nav-alerts"
          icon={<IconBell />}
          label={t`Alerts`}
          badge={openAlerts > 0 ? openAlerts : undefined}
        />
        {messages.length > 0 ? (
          <RailLink
            to="/messages"
            testid="nav-messages"
            icon={<IconMessages />}
            label={t`From the NOC`}
            badge={underWay > 0 ? underWay : undefined}
            calm
          />
        ) : null}
        {start.capabilities.manage_noc ? (
          <RailLink
            to="/inventory"
            testid="nav-inventory"
            icon={<IconPackageImport />}
            label={t`Inventory`}
          />
        ) : null}
        {start.capabilities.practice ? (
          <RailLink to="/practice" testid="nav-practice" icon={<IconTestPipe />} label={t`Practice`} />
        ) : null}
        <div className={classes.spacer} />
        <RunningJobs />
        <Tooltip label={t`Keyboard shortcuts`} position="right">
          <UnstyledButton className={classes.link} onClick={() => setHelpOpen(true)}>
            <IconKeyboard />
            <span className={classes.label}>
              <Trans>Shortcuts</Trans>
            </span>
            <Kbd size="xs" className={classes.key}>
              ?
            </Kbd>
          </UnstyledButton>
        </Tooltip>
        <RailLink to="/settings" testid="nav-settings" icon={<IconSettings />} label={t`Settings`} />
        <NocStatus />
      </nav>
      <div className={classes.main}>
        <LostBanner />
        <main id="content" className={classes.content} tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <ShortcutHelp opened={helpOpen} onClose={() => setHelpOpen(false)} />
    </div>
  )
}

/** The window is called after the page, so that task lists and screen readers tell the pages apart. */
function usePageTitle() {
  const { pathname } = useLocation()
  // biome-ignore lint/correctness/useExhaustiveDependencies: each page has its own heading
  useEffect(() => {
    const heading = document.querySelector('#content h1')?.textContent
    document.title = heading ? `${heading} · Muster` : 'Muster'
  }, [pathname])
}

interface RailLinkProps {
  to: string
  testid: string
  icon: ReactNode
  label: string
  badge?: number | undefined
  /** The number is nothing to worry about. */
  calm?: boolean
}

function RailLink({ to, testid, icon, label, badge, calm = false }: RailLinkProps) {
  return (
    <Tooltip label={label} position="right" disabled={window.innerWidth >= 1000}>
      <NavLink to={to} end={to === '/'} className={classes.link ?? ''} data-testid={testid}>
        {icon}
        <span className={classes.label}>{label}</span>
        {badge === undefined ? null : (
          <span className={classes.count} data-calm={calm || undefined} data-testid={`${testid}-count`}>
            {badge > 999 ? '999+' : badge}
          </span>
        )}
      </NavLink>
    </Tooltip>
  )
}

function RunningJobs() {
  const navigate = useNavigate()
  const jobs = useFleet((s) => s.jobs)
  const running = jobs.filter(isRunning)
  const [first] = running
  if (jobs.length === 0) return null
  const { done, total } = first ? summarise(first) : { done: 0, total: 0 }
  return (
    <Menu position="right-end" withArrow>
      <Menu.Target>
        <UnstyledButton className={classes.job} data-testid="jobs" data-running={!!first || undefined}>
          <span className={classes.jobTitle}>
            {first ? <Trans>Job running</Trans> : <Trans>Jobs</Trans>}
            <IconChevronDown size={14} aria-hidden />
          </span>
          {first ? (
            <>
              <span className={classes.jobCount}>
                <Trans>
                  {done} of {total} done
                </Trans>
              </span>
              <span
                className={classes.jobBar}
                style={{ '--part': total ? done / total : 0 } as React.CSSProperties}
              />
            </>
          ) : null}
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Trans>Configuration jobs</Trans>
        </Menu.Label>
        {jobs.slice(0, 8).map((job) => {
          const sum = summarise(job)
          return (
            <Menu.Item key={job.id} onClick={() => void navigate(`/jobs/${job.id}`)}>
              <Trans>
                Job {job.id}: {sum.done} of {sum.total}
              </Trans>{' '}
              <Text span size="xs" c="dimmed">
                <When at={job.started} />
              </Text>
            </Menu.Item>
          )
        })}
      </Menu.Dropdown>
    </Menu>
  )
}

function NocStatus() {
  const { t } = useLingui()
  const noc = useFleet((s) => s.noc)
  const sites = useFleet((s) => s.sites)
  const [site] = sites
  if (noc.kind === 'not_joined') return null
  const isUp = noc.kind === 'connected'
  const label = isUp ? t`Connected to the NOC` : t`NOC not reachable`
  return (
    <Tooltip label={`${label}: ${noc.url}`} position="right">
      <div className={classes.noc} data-testid="noc-status" data-kind={noc.kind}>
        <span className={isUp ? classes.dotUp : classes.dotDown} aria-hidden />
        <span className={classes.nocText}>
          <span>
            {site && sites.length === 1 ? (
              site.name
            ) : (
              <Plural value={sites.length} one="# site" other="# sites" />
            )}
          </span>
          <span className={classes.nocState}>{label}</span>
        </span>
      </div>
    </Tooltip>
  )
}

function LostBanner() {
  const noc = useFleet((s) => s.noc)
  if (noc.kind !== 'lost') return null
  return (
    <div className={classes.lost} role="alert" data-testid="noc-lost">
      <IconPlugConnectedX size={18} aria-hidden />
      <div>
        <strong>
          <Trans>
            Connection to the NOC lost <When at={noc.since} exact />
          </Trans>
        </strong>
        <div>
          {noc.problem.message} {noc.problem.remedy} <Trans>The values shown may be old.</Trans>
        </div>
      </div>
    </div>
  )
}

function ShortcutHelp({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useLingui()
  const keys: [string[], string][] = [
    [['d'], t`Discover appliances`],
    [['/'], t`Search`],
    [['c'], t`Configure the selected appliances`],
    [['Space'], t`Select or deselect the appliance in focus`],
    [['Shift', '↑ ↓'], t`Extend the selection`],
    [['Ctrl', 'A'], t`Select all that are shown`],
    [['Ctrl', 'C'], t`Copy the selected rows for a spreadsheet`],
    [['Enter'], t`Open the appliance in focus`],
    [['Ctrl', 'Enter'], t`Next step of a configuration`],
    [['Esc'], t`Close a dialog, clear the selection`],
    [['?'], t`Show this list`],
  ]
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t`Keyboard shortcuts`}
      closeButtonProps={{ 'aria-label': t`Close` }}
    >
      <Table aria-label={t`Keyboard shortcuts`}>
        <Table.Tbody>
          {keys.map(([combination, meaning]) => (
            <Table.Tr key={meaning}>
              <Table.Td w={130}>
                {combination.map((key) => (
                  <Kbd key={key} mr={4}>
                    {key}
                  </Kbd>
                ))}
              </Table.Td>
              <Table.Td>{meaning}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Button variant="default" mt="md" onClick={onClose}>
        <Trans>Close</Trans>
      </Button>
    </Modal>
  )
}
