// Printing: what is drawn for paper is there only while it is printed.

import { useEffect, useState } from 'react'
import { flushSync } from 'react-dom'

/** True while the browser makes sheets of the page, however it was asked to. */
export function usePrinting(): boolean {
  const [isPrinting, setPrinting] = useState(false)
  useEffect(() => {
    // The browser takes its picture as soon as this returns.
    const set = (is: boolean) => flushSync(() => setPrinting(is))
    const media = window.matchMedia?.('print')
    const onMedia = () => set(media?.matches ?? false)
    const begin = () => set(true)
    const end = () => set(false)
    window.addEventListener('beforeprint', begin)
    window.addEventListener('afterprint', end)
    media?.addEventListener?.('change', onMedia)
    return () => {
      window.removeEventListener('beforeprint', begin)
      window.removeEventListener('afterprint', end)
      media?.removeEventListener?.('change', onMedia)
    }
  }, [])
  return isPrinting
}
