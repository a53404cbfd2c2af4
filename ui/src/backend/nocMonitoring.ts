// What the NOC says of silence, health and maintenance.

/** What a place says of silence and health; what is absent it leaves to the place above. */
export interface Monitoring {
  grace_s?: number
  miss_intervals?: number
  recover_beats?: number
  never_reported_s?: number
  gateway?: string
  rules?: HealthRule[]
}

export interface HealthRule {
  name: string
  model?: string
  value: string
  is: 'above' | 'below' | 'unmoved'
  than?: number
  for_s: number
}

/** When nobody is told of a site, or of one of its appliances. */
export interface MaintenanceWindow {
  id: number
  site: number
  appliance: string | null
  starts: number
  ends: number
  every: 'once' | 'day' | 'week'
  note: string
  is_active: boolean
  made_by: string
  ended: number | null
  ended_by: string
}
