import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Anchor, Button, Table } from '@mantine/core'
import { IconBellOff, IconHistory } from '@tabler/icons-react'
import { useState } from 'react'
import { Link } from 'react-router'
import type { AlertView } from '../bindings.ts'
import { alertName } from '../components/badge.ts'
import { Empty } from '../components/Empty.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { span } from '../domain/time.ts'
import { useFleet } from '../store/context.tsx'
import classes from './AlertsPage.module.css'
import { Handled } from './Handled.tsx'
import page from './page.module.css'

const PAGE = 200

/** Alerts: the open ones first, then what was. */
export function AlertsPage() {
  const { t } = useLingui()
  const alerts = useFleet((s) => s.alerts)
  const [limit, setLimit] = useState(PAGE)
  const open = alerts.filter((alert) => alert.closed === null)
  const closed = alerts.filter((alert) => alert.closed !== null)
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Alerts</Trans>
        </h1>
      </header>
      <div data-testid="alerts-list">
        <section className={page.card} aria-label={t`Open alerts`}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Open</Trans>
            </h2>
            <span className="quiet" data-testid="alerts-open">
              {open.length}
            </span>
          </div>
          {open.length > 0 ? (
            <AlertTable alerts={open} label={t`Open alerts`} />
          ) : (
            <Empty icon={<IconBellOff size={28} />} title={<Trans>No open alerts</Trans>}>
              <Trans>
                Every configured appliance reports in time. You are told here and on the desktop when one
                stops.
              </Trans>
            </Empty>
          )}
        </section>
        {closed.length > 0 ? (
          <section className={`${page.card} ${classes.history}`} aria-label={t`History`}>
            <div className={page.cardHead}>
              <IconHistory size={16} aria-hidden />
              <h2>
                <Trans>History</Trans>
              </h2>
              <span className="quiet">{closed.length}</span>
            </div>
            <AlertTable alerts={closed.slice(0, limit)} label={t`History`} />
            {closed.length > limit ? (
              <Button variant="subtle" fullWidth onClick={() => setLimit(limit + PAGE)}>
                <Trans>Show more</Trans>
              </Button>
            ) : null}
          </section>
        ) : null}
      </div>
    </div>
  )
}

function AlertTable({ alerts, label }: { alerts: readonly AlertView[]; label: string }) {
  const { t, i18n } = useLingui()
  return (
    <Table highlightOnHover aria-label={label} className={classes.table}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w={150}>{t`Alert`}</Table.Th>
          <Table.Th>{t`Appliances`}</Table.Th>
          <Table.Th w={250}>{t`Opened`}</Table.Th>
          <Table.Th w={250}>{t`Closed`}</Table.Th>
          <Table.Th>{t`Handled`}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {alerts.map((alert) => (
          <Table.Tr key={alert.id} data-testid={`alert-${alert.id}`} data-open={alert.closed === null}>
            <Table.Td>
              <Kind alert={alert} />
            </Table.Td>
            <Table.Td>
              <Appliances alert={alert} />
            </Table.Td>
            <Table.Td>
              <When at={alert.opened} exact />
            </Table.Td>
            <Table.Td>
              {alert.closed === null ? (
                <span className="quiet">
                  <Trans>Still open</Trans>
                </span>
              ) : (
                <>
                  <When at={alert.closed} />{' '}
                  <span className="quiet">
                    · <Trans>after {span(alert.closed - alert.opened, i18n.locale)}</Trans>
                  </span>
                </>
              )}
            </Table.Td>
            <Table.Td>
              <Handled alert={alert} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  )
}

function Kind({ alert }: { alert: AlertView }) {
  const tone = alert.closed === null ? 'bad' : 'idle'
  const icon = alert.closed === null ? 'warning' : 'check'
  return <StatusBadge badge={{ tone, icon, text: alertName(alert) }} />
}

function Appliances({ alert }: { alert: AlertView }) {
  const [all, setAll] = useState(false)
  const shown = all ? alert.appliances : alert.appliances.slice(0, 6)
  const hidden = alert.appliances.length - shown.length
  return (
    <div className={classes.appliances}>
      {shown.map(({ uid, name }) => (
        <Anchor key={uid} component={Link} to={`/appliances/${uid}`} size="sm">
          {name}
        </Anchor>
      ))}
      {hidden > 0 ? (
        <button type="button" className={classes.more} onClick={() => setAll(true)}>
          <Plural value={hidden} one="and # more" other="and # more" />
        </button>
      ) : null}
    </div>
  )
}
