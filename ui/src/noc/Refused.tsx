import { Trans, useLingui } from '@lingui/react/macro'
import type { NocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import face from './face.module.css'

/** Why something was refused, with all that is wrong: each value, or each line of a file. */
export function Refused({ problem }: { problem: NocProblem }) {
  const { t } = useLingui()
  const { faults, lines } = problem
  // The NOC's own words name the first line, for whoever sees no list.
  const remedy =
    lines.length > 0 ? t`Correct the lines named and import the whole file again.` : problem.remedy
  return (
    <div>
      <ProblemAlert problem={{ ...problem, remedy }} />
      {faults.length + lines.length > 0 ? (
        <ul className={face.faults} data-testid="faults">
          {faults.map(({ field, code, message }) => (
            <li key={`${field} ${code} ${message}`}>{message}</li>
          ))}
          {lines.map(({ line, code, message }) => (
            <li key={`${line} ${code} ${message}`}>
              {line === 0 ? (
                message
              ) : (
                <Trans>
                  Line {line}: {message}
                </Trans>
              )}
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  )
}
