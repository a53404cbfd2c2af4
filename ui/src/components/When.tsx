import { useLingui } from '@lingui/react/macro'
import { absolute, relative } from '../domain/time.ts'
import { useNow } from './useNow.ts'

/** A moment: relative, with the exact time beside it or on hover. */
export function When({ at, exact = false }: { at: number; exact?: boolean }) {
  const { i18n } = useLingui()
  const now = useNow()
  const full = absolute(at, i18n.locale)
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={full}>
      {relative(Math.min(at, now), now, i18n.locale)}
      {exact ? <span className="quiet"> · {full}</span> : null}
    </time>
  )
}
