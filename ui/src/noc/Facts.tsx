import type { ReactNode } from 'react'
import page from '../pages/page.module.css'

export type Fact = [name: string, value: ReactNode]

/** Names and values; what is empty is left out. */
export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl className={page.facts}>
      {facts
        .filter(([, value]) => value !== '')
        .map(([name, value]) => (
          <div key={name} style={CONTENTS}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

const CONTENTS = { display: 'contents' } as const
