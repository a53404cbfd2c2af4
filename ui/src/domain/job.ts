// What a job amounts to.

import type { JobItemView, JobStep } from '../bindings.ts'

export interface JobSummary {
  total: number
  /** Configured, failed or cancelled. */
  done: number
  configured: number
  failed: number
  cancelled: number
  waiting: number
  /** 0 to 1, counting what runs by how far it is. */
  part: number
}

export function summarise(job: { items: ReadonlyMap<string, JobItemView> }): JobSummary {
  const sum: JobSummary = { total: 0, done: 0, configured: 0, failed: 0, cancelled: 0, waiting: 0, part: 0 }
  let parts = 0
  for (const item of job.items.values()) {
    sum.total++
    parts += partOf(item)
    if (isFinal(item.step)) sum.done++
    if (item.step === 'configured') sum.configured++
    if (item.step === 'failed') sum.failed++
    if (item.step === 'cancelled') sum.cancelled++
    if (item.step === 'waiting') sum.waiting++
  }
  sum.part = sum.total > 0 ? parts / sum.total : 0
  return sum
}

export function isFinal(step: JobStep): boolean {
  return step === 'configured' || step === 'failed' || step === 'cancelled'
}

/** How far one appliance is, from 0 to 1; installing is the long part. */
export function partOf({ step, percent }: Pick<JobItemView, 'step' | 'percent'>): number {
  switch (step) {
    case 'waiting':
      return 0
    case 'sending':
      return 0.05
    case 'installing':
      return 0.1 + 0.7 * Math.min(1, percent / 100)
    case 'kick_starting':
      return 0.85
    case 'confirming':
      return 0.92
    default:
      return 1
  }
}

export interface FailureGroup {
  problem: NonNullable<JobItemView['problem']>
  /** Host names, else MACs. */
  names: string[]
}

/** Failed appliances by reason, the most frequent first. */
export function failuresOf(items: Iterable<JobItemView>): FailureGroup[] {
  const groups = new Map<string, FailureGroup>()
  for (const { step, problem, settings, mac } of items) {
    if (step !== 'failed' || !problem) continue
    const key = `${problem.code} ${problem.message}`
    const name = settings.host_name || mac
    const group = groups.get(key)
    if (group) group.names.push(name)
    else groups.set(key, { problem, names: [name] })
  }
  return [...groups.values()].sort((a, b) => b.names.length - a.names.length)
}
