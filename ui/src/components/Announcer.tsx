import { VisuallyHidden } from '@mantine/core'
import { createContext, type ReactNode, useCallback, useContext, useState } from 'react'

const AnnounceContext = createContext<(text: string) => void>(() => undefined)

/** Says a sentence to screen readers, without moving the focus. */
export function useAnnounce(): (text: string) => void {
  return useContext(AnnounceContext)
}

export function Announcer({ children }: { children: ReactNode }) {
  const [said, setSaid] = useState({ text: '', n: 0 })
  const announce = useCallback((text: string) => setSaid(({ n }) => ({ text, n: n + 1 })), [])
  return (
    <AnnounceContext.Provider value={announce}>
      {children}
      <VisuallyHidden>
        {/* A new key makes the same sentence count as news. */}
        <div role="status" aria-live="polite" data-testid="live-region">
          <span key={said.n}>{said.text}</span>
        </div>
      </VisuallyHidden>
    </AnnounceContext.Provider>
  )
}
