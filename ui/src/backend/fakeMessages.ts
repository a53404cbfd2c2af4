// Messages of the NOC as the simulated console would show them: every kind, every state, and texts of any length.

import type { ApplianceRow, MessageRow } from '../bindings.ts'

const KINDS = ['sendRefresh', 'sendConfig', 'getList', 'sendKick', 'getStatus', ''] as const

/** `count` messages, newest first; `texts` stand where a NOC or an appliance can put words. */
export function makeMessages(
  count: number,
  now: number,
  rows: readonly ApplianceRow[],
  texts: readonly string[],
): MessageRow[] {
  return Array.from({ length: count }, (_, i) => {
    const name = KINDS[i % KINDS.length] ?? ''
    const row = name === 'sendConfig' || name === 'sendKick' ? rows[i % rows.length] : undefined
    const state = i === 1 ? 'taken' : i % 5 === 3 || name === '' ? 'failed' : 'done'
    const received = now - 40 - i * 300
    const lists = name === 'sendRefresh' || name === 'getList'
    return {
      number: String(1_795_437_845_000 - i),
      name,
      mac: row?.mac ?? '',
      uid: row?.uid ?? null,
      received,
      finished: state === 'taken' ? null : received + 2,
      state,
      job: name === 'sendConfig' ? i + 1 : null,
      found: state === 'done' && lists ? rows.length : null,
      problem: state === 'failed' ? why(name, row?.mac ?? '', texts[i % Math.max(1, texts.length)]) : null,
    }
  })
}

function why(name: string, mac: string, text: string | undefined) {
  if (text !== undefined) return { code: 'test', message: text, remedy: text }
  if (name === '')
    return {
      code: 'not_understood',
      message: 'this console does not understand it: unknown variant `sendFirmware`',
      remedy: 'Use programs of the same version at both ends.',
    }
  return {
    code: 'nothing_to_kick',
    message: `${mac || 'It'} has not applied settings of this console`,
    remedy: 'Configure it first: sendConfig. Its kick-start follows by itself.',
  }
}
