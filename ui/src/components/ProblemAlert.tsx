import { useLingui } from '@lingui/react/macro'
import { Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import type { ProblemView } from '../bindings.ts'
import classes from './ProblemAlert.module.css'

/** What happened and what to do about it. Never one without the other. */
export function ProblemAlert({ problem, action }: { problem: ProblemView; action?: ReactNode }) {
  const { t } = useLingui()
  const remedy = problem.remedy || t`Try again. If it happens again, restart Muster.`
  return (
    <div className={classes.alert} role="alert" data-testid="problem" data-code={problem.code}>
      <IconAlertTriangle size={18} aria-hidden className={classes.icon} />
      <div className={classes.body}>
        <Text size="sm" fw={550} c="inherit">
          {problem.message}
        </Text>
        <Text size="sm" c="var(--mantine-color-text)">
          {remedy}
        </Text>
      </div>
      {action}
    </div>
  )
}
