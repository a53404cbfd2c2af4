import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Anchor, Table } from '@mantine/core'
import { IconMessages } from '@tabler/icons-react'
import { Link } from 'react-router'
import type { MessageRow } from '../bindings.ts'
import { messageBadge } from '../components/badge.ts'
import { Empty } from '../components/Empty.tsx'
import { StatusBadge } from '../components/StatusBadge.tsx'
import { When } from '../components/When.tsx'
import { useFleet } from '../store/context.tsx'
import classes from './MessagesPage.module.css'
import page from './page.module.css'

/** What the NOC had this console do, newest first. */
export function MessagesPage() {
  const { t } = useLingui()
  const messages = useFleet((s) => s.messages)
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>From the NOC</Trans>
        </h1>
      </header>
      <section className={page.card} aria-label={t`Messages of the NOC`} data-testid="messages">
        {messages.length > 0 ? (
          <Table highlightOnHover aria-label={t`Messages of the NOC`} className={classes.table}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th w={250}>{t`Came`}</Table.Th>
                <Table.Th w={150}>{t`Message`}</Table.Th>
                <Table.Th w={170}>{t`Appliance`}</Table.Th>
                <Table.Th w={130}>{t`State`}</Table.Th>
                <Table.Th>{t`Result`}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {messages.map((message) => (
                <Row key={message.number} message={message} />
              ))}
            </Table.Tbody>
          </Table>
        ) : (
          <Empty icon={<IconMessages size={28} />} title={<Trans>The NOC has sent no messages</Trans>}>
            <Trans>
              Whoever runs the NOC can have this console discover and configure appliances. What it was told
              to do is listed here.
            </Trans>
          </Empty>
        )}
      </section>
    </div>
  )
}

function Row({ message }: { message: MessageRow }) {
  return (
    <Table.Tr data-testid={`message-${message.number}`} data-state={message.state}>
      <Table.Td>
        <When at={message.received} exact />
      </Table.Td>
      <Table.Td>
        <What message={message} />
      </Table.Td>
      <Table.Td>
        {message.uid ? (
          <Anchor component={Link} to={`/appliances/${message.uid}`} size="sm">
            {message.mac}
          </Anchor>
        ) : (
          message.mac
        )}
      </Table.Td>
      <Table.Td>
        <StatusBadge badge={messageBadge(message.state)} />
      </Table.Td>
      <Table.Td className={classes.result}>
        <Result message={message} />
      </Table.Td>
    </Table.Tr>
  )
}

function What({ message }: { message: MessageRow }) {
  switch (message.name) {
    case 'sendRefresh':
      return <Trans>Discover</Trans>
    case 'sendKick':
      return <Trans>Kick-start</Trans>
    case 'sendConfig':
      return <Trans>Configure</Trans>
    case 'getList':
      return <Trans>List appliances</Trans>
    case 'getStatus':
      return <Trans>Tell the status</Trans>
    default:
      return <Trans>Not understood</Trans>
  }
}

function Result({ message }: { message: MessageRow }) {
  const { problem, found, job } = message
  return (
    <>
      {problem ? (
        <span>
          {problem.message} <span className="quiet">{problem.remedy}</span>
        </span>
      ) : null}
      {found === null ? null : <Plural value={found} one="# appliance" other="# appliances" />}{' '}
      {job === null ? null : (
        <Anchor component={Link} to={`/jobs/${job}`} size="sm" underline="always">
          <Trans>Job {job}</Trans>
        </Anchor>
      )}
    </>
  )
}
