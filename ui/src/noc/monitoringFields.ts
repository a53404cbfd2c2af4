// What is said of silence and health, as forms hold it.

import { t } from '@lingui/core/macro'
import type { HealthRule, Monitoring } from '../backend/noc.ts'

/** A rule while it is typed. */
export interface RuleDraft {
  /** Of this page only. */
  key: number
  name: string
  model: string
  value: string
  is: HealthRule['is']
  than: string
  minutes: string
}

/** All of it while it is typed. */
export interface MonitoringDraft {
  numbers: Record<NumberField, string>
  gateway: string
  /** Null: as the place above says. */
  rules: RuleDraft[] | null
}

export const NUMBERS = ['grace_s', 'miss_intervals', 'recover_beats', 'never_reported_s'] as const
export type NumberField = (typeof NUMBERS)[number]

export function numberName(field: NumberField): string {
  switch (field) {
    case 'grace_s':
      return t`Grace after an interval, seconds`
    case 'miss_intervals':
      return t`Silent after so many intervals`
    case 'recover_beats':
      return t`Well again after so many beats in time`
    case 'never_reported_s':
      return t`Never reported: an alert after, seconds`
  }
}

export function comparison(is: HealthRule['is']): string {
  switch (is) {
    case 'above':
      return t`is above`
    case 'below':
      return t`is below`
    case 'unmoved':
      return t`does not move`
  }
}

let keys = 0

export function newRule(
  rule: HealthRule = { name: '', value: 'disk', is: 'above', than: 90, for_s: 600 },
): RuleDraft {
  keys += 1
  return {
    key: keys,
    name: rule.name,
    model: rule.model ?? '',
    value: rule.value,
    is: rule.is,
    than: String(rule.than ?? 0),
    minutes: String(rule.for_s / 60),
  }
}

export function toDraft(said: Monitoring): MonitoringDraft {
  const numbers = Object.fromEntries(NUMBERS.map((field) => [field, said[field]?.toString() ?? '']))
  return {
    numbers: numbers as Record<NumberField, string>,
    gateway: said.gateway ?? '',
    rules: said.rules?.map(newRule) ?? null,
  }
}

/** What is said; what cannot be read is sent as it is, so that the NOC names it. */
export function fromDraft({ numbers, gateway, rules }: MonitoringDraft): Monitoring {
  const said: Monitoring = {}
  for (const field of NUMBERS) if (numbers[field].trim() !== '') said[field] = asNumber(numbers[field])
  if (gateway.trim() !== '') said.gateway = gateway.trim()
  if (rules) said.rules = rules.map(toRule)
  return said
}

function toRule({ name, model, value, is, than, minutes }: RuleDraft): HealthRule {
  const rule: HealthRule = {
    name: name.trim(),
    value: value.trim(),
    is,
    for_s: Math.round(asNumber(minutes) * 60),
  }
  if (is !== 'unmoved') rule.than = asNumber(than)
  if (model.trim() !== '') rule.model = model.trim()
  return rule
}

function asNumber(text: string): number {
  const number = Number(text.trim().replace(',', '.'))
  return text.trim() === '' || !Number.isFinite(number) ? -1 : number
}

/** Whether two say the same. */
export function isSameDraft(a: MonitoringDraft, b: MonitoringDraft): boolean {
  const text = (draft: MonitoringDraft) =>
    JSON.stringify([draft.numbers, draft.gateway, draft.rules?.map(({ key: _, ...rest }) => rest) ?? null])
  return text(a) === text(b)
}
