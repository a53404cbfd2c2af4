import { useEffect, useState } from 'react'

/** The time in Unix seconds, renewed every `seconds`. */
export function useNow(seconds = 1): number {
  const [now, setNow] = useState(() => Math.floor(Date.now() / 1000))
  useEffect(() => {
    const timer = setInterval(() => setNow(Math.floor(Date.now() / 1000)), seconds * 1000)
    return () => clearInterval(timer)
  }, [seconds])
  return now
}
