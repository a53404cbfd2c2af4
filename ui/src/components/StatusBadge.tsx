import { type Badge, ICONS } from './badge.ts'

export function StatusBadge({ badge: { tone, icon, text } }: { badge: Badge }) {
  return (
    <span className={`badge badge-${tone}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={ICONS[icon]} />
      </svg>
      {text}
    </span>
  )
}
