import { plural, t } from '@lingui/core/macro'
import { notifications } from '@mantine/notifications'
import { useEffect, useRef } from 'react'
import { useLocation } from 'react-router'
import { useAnnounce } from '../components/Announcer.tsx'
import { summarise } from '../domain/job.ts'
import { useFleet } from './context.tsx'
import { isRunning } from './fleet.ts'

/** Says when a discovery or a job has ended, wherever the administrator is. */
export function useOutcomes(): void {
  const announce = useAnnounce()
  const discovery = useFleet((s) => s.discovery)
  const jobs = useFleet((s) => s.jobs)
  const { pathname } = useLocation()
  const wasDiscovering = useRef(false)
  const wereRunning = useRef(new Set<number>())

  useEffect(() => {
    if (wasDiscovering.current && !discovery.running) {
      const found = plural(discovery.found, { one: '# appliance', other: '# appliances' })
      announce(discovery.problem ? discovery.problem.message : t`Discovery ended: ${found} answered.`)
    }
    wasDiscovering.current = discovery.running
  }, [discovery, announce])

  useEffect(() => {
    for (const job of jobs) {
      if (isRunning(job) || !wereRunning.current.has(job.id)) continue
      const { configured, failed } = summarise(job)
      const text = t`Job ${job.id} ended: ${configured} configured, ${failed} failed.`
      announce(text)
      if (pathname !== `/jobs/${job.id}`)
        notifications.show({ message: text, color: failed ? 'red' : 'green' })
    }
    wereRunning.current = new Set(jobs.filter(isRunning).map((job) => job.id))
  }, [jobs, pathname, announce])
}
