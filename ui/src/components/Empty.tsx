import { Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Empty.module.css'

interface Props {
  icon: ReactNode
  title: ReactNode
  children?: ReactNode
  action?: ReactNode
}

/** A screen with nothing to show says why, and what to do next. */
export function Empty({ icon, title, children, action }: Props) {
  return (
    <div className={classes.empty} data-testid="empty">
      <div className={classes.icon} aria-hidden>
        {icon}
      </div>
      <Title order={2} size="h2">
        {title}
      </Title>
      {children ? (
        <Text c="dimmed" size="sm" component="div" className={classes.text}>
          {children}
        </Text>
      ) : null}
      {action ? <div className={classes.action}>{action}</div> : null}
    </div>
  )
}
