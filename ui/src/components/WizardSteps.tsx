import { useLingui } from '@lingui/react/macro'
import { Stepper } from '@mantine/core'
import { stepNames } from './steps.ts'
import classes from './WizardSteps.module.css'

interface Props {
  active: number
  /** Steps before this one may be returned to. */
  onStep?: (step: number) => void
}

/** Where in the bulk configuration the administrator is. */
export function WizardSteps({ active, onStep }: Props) {
  const { t } = useLingui()
  return (
    <Stepper
      size="xs"
      iconSize={22}
      active={active}
      className={classes.steps ?? ''}
      {...(onStep ? { onStepClick: onStep } : {})}
      aria-label={t`Steps`}
    >
      {stepNames().map((label, i) => (
        <Stepper.Step
          key={label}
          label={label}
          allowStepSelect={onStep !== undefined && i < active}
          aria-current={i === active ? 'step' : undefined}
        />
      ))}
    </Stepper>
  )
}
