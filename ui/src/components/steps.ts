import { t } from '@lingui/core/macro'

/** The steps of a bulk configuration, in order. */
export function stepNames(): string[] {
  return [t`Choose`, t`Plan`, t`Check`, t`Review`, t`Apply`, t`Summary`]
}
