import { useLingui } from '@lingui/react/macro'
import { Stepper } from '@mantine/core'
import classes from './WizardSteps.module.css'

export type WizardStep = 0 | 1 | 2 | 3 | 4 | 5

interface Props {
  active: number
  /** Steps before this one may be returned to. */
  onStep?: (step: number) => void
}

/** Where in the bulk configuration the administrator is. */
export function WizardSteps({ active, onStep }: Props) {
  const { t } = useLingui()
  const steps = [t`Choose`, t`Plan`, t`Check`, t`Review`, t`Apply`, t`Summary`]
  return (
    <Stepper
      size="xs"
      iconSize={22}
      active={active}
      className={classes.steps ?? ''}
      {...(onStep ? { onStepClick: onStep } : {})}
      aria-label={t`Steps`}
    >
      {steps.map((label, i) => (
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
