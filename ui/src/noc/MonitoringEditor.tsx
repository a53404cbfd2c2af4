import { Trans, useLingui } from '@lingui/react/macro'
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { type FormEvent, useCallback } from 'react'
import type { Monitoring, Versioned } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import { Conflict, useEditing } from './editing.tsx'
import face from './face.module.css'
import { kinds, useLoaded } from './loading.ts'
import {
  comparison,
  fromDraft,
  isSameDraft,
  type MonitoringDraft,
  NUMBERS,
  newRule,
  numberName,
  type RuleDraft,
  toDraft,
} from './monitoringFields.ts'
import { Refused } from './Refused.tsx'
import { Card } from './Scaffold.tsx'
import { useFace } from './session.tsx'

const CONCERNS = kinds('site', 'organisation')

interface Props {
  path: string
  /** Where it is said what it comes to; of an organisation that depends on the site. */
  effective?: string
  mayChange: boolean
}

/** When silence is told, and what breaks an appliance's health. */
export function MonitoringEditor({ path, effective, mayChange }: Props) {
  const { noc } = useFace()
  const load = useCallback(() => noc.read<Monitoring>(path), [noc, path])
  const { value, problem, reload } = useLoaded(load, CONCERNS)
  const loadWhole = useCallback(
    () => (effective ? noc.get<Monitoring>(effective) : Promise.resolve<Monitoring>({})),
    [noc, effective],
  )
  const whole = useLoaded(loadWhole, CONCERNS).value ?? {}
  if (!value) return problem ? <ProblemAlert problem={problem} /> : null
  return (
    <Editor
      key={path}
      known={value}
      whole={whole}
      reload={reload}
      path={path}
      isSite={effective !== undefined}
      mayChange={mayChange}
    />
  )
}

interface EditorProps {
  known: Versioned<Monitoring>
  whole: Monitoring
  reload: () => void
  path: string
  isSite: boolean
  mayChange: boolean
}

function Editor({ known, whole, reload, path, isSite, mayChange }: EditorProps) {
  const { t } = useLingui()
  const { noc } = useFace()
  const { form, change, isDirty, isSaving, isSaved, problem, save, conflict } = useEditing(known, reload, {
    toForm: toDraft,
    isSame: isSameDraft,
    put: (_: Monitoring, draft: MonitoringDraft, tag) =>
      noc.change<Monitoring>('PUT', path, tag, fromDraft(draft)),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save()
  }
  const faults = problem?.faults ?? []
  const at = (field: string) => faults.find((fault) => fault.field === field)?.message
  const unsaid = (field: (typeof NUMBERS)[number]) =>
    whole[field]?.toString() ?? (isSite && field === 'grace_s' ? t`a quarter of the interval` : t`the usual`)
  return (
    <form className={face.stack} onSubmit={submit} noValidate data-testid="monitoring-form">
      {conflict ? <Conflict {...conflict} /> : null}
      {problem && !faults.some((fault) => isNumber(fault.field)) ? <Refused problem={problem} /> : null}
      <Card title={t`When silence is told`}>
        <div className={face.stack}>
          {NUMBERS.map((field) => (
            <TextInput
              key={field}
              label={numberName(field)}
              inputMode="numeric"
              value={form.numbers[field]}
              placeholder={unsaid(field)}
              error={at(field)}
              readOnly={!mayChange}
              data-testid={`monitoring-${field}`}
              onChange={(event) =>
                change({ ...form, numbers: { ...form.numbers, [field]: event.currentTarget.value } })
              }
            />
          ))}
          {isSite ? (
            <TextInput
              label={t`All others are behind the appliance with this UID`}
              description={t`While it is silent, they are unreachable, in its alert.`}
              classNames={{ input: 'mono' }}
              value={form.gateway}
              error={at('gateway')}
              readOnly={!mayChange}
              data-testid="monitoring-gateway"
              onChange={(event) => change({ ...form, gateway: event.currentTarget.value })}
            />
          ) : null}
        </div>
      </Card>
      <Rules form={form} whole={whole} isSite={isSite} mayChange={mayChange} onChange={change} />
      <div className={page.actions}>
        {mayChange ? (
          <Button type="submit" loading={isSaving} disabled={!isDirty} data-testid="monitoring-save">
            <Trans>Save</Trans>
          </Button>
        ) : (
          <span className="quiet">
            <Trans>Administrators change this.</Trans>
          </span>
        )}
        {isSaved ? (
          <span className="quiet" data-testid="monitoring-saved">
            <Trans>Saved. It holds within a second.</Trans>
          </span>
        ) : null}
      </div>
    </form>
  )
}

/** Whether a value has a field of its own here, where its fault is said. */
function isNumber(field: string): boolean {
  return field === 'gateway' || NUMBERS.some((one) => one === field)
}

interface RulesProps {
  form: MonitoringDraft
  whole: Monitoring
  isSite: boolean
  mayChange: boolean
  onChange: (form: MonitoringDraft) => void
}

function Rules({ form, whole, isSite, mayChange, onChange }: RulesProps) {
  const { t } = useLingui()
  const { rules } = form
  const put = (next: RuleDraft[] | null) => onChange({ ...form, rules: next })
  return (
    <Card
      title={t`Health rules`}
      tools={
        mayChange ? (
          rules ? (
            <>
              <Button size="compact-xs" variant="default" onClick={() => put(null)} data-testid="rules-unsay">
                {isSite ? <Trans>As the organisation says</Trans> : <Trans>The usual ones</Trans>}
              </Button>
              <Button
                size="compact-xs"
                leftSection={<IconPlus size={14} aria-hidden />}
                onClick={() => put([...rules, newRule()])}
                data-testid="rule-add"
              >
                <Trans>Add</Trans>
              </Button>
            </>
          ) : (
            <Button
              size="compact-xs"
              onClick={() => put((whole.rules ?? []).map(newRule))}
              data-testid="rules-own"
            >
              <Trans>Own rules…</Trans>
            </Button>
          )
        ) : null
      }
    >
      {rules === null ? (
        <Unsaid whole={whole} isSite={isSite} />
      ) : rules.length === 0 ? (
        <span className="quiet">
          <Trans>No rule: whatever appliances report is well.</Trans>
        </span>
      ) : (
        <ul className={face.plain} data-testid="rules">
          {rules.map((rule, at) => (
            <Rule
              key={rule.key}
              rule={rule}
              mayChange={mayChange}
              onChange={(next) => put(rules.map((other, i) => (i === at ? next : other)))}
              onRemove={() => put(rules.filter((_, i) => i !== at))}
            />
          ))}
        </ul>
      )}
    </Card>
  )
}

/** The rules that hold where nobody says any. */
function Unsaid({ whole, isSite }: { whole: Monitoring; isSite: boolean }) {
  if (!isSite)
    return (
      <span className="quiet">
        <Trans>
          The usual ones: a disk above 90 % for ten minutes, a load above 4 a processor for fifteen.
        </Trans>
      </span>
    )
  return (
    <ul className={face.plain}>
      {(whole.rules ?? []).map(({ name, value, is, than, for_s, model }) => (
        <li key={name} className="quiet">
          {name}: <span className="mono">{value}</span> {comparison(is)} {is === 'unmoved' ? '' : than}{' '}
          <Trans>for {for_s / 60} min</Trans> {model ? `(${model})` : ''}
        </li>
      ))}
    </ul>
  )
}

interface RuleProps {
  rule: RuleDraft
  mayChange: boolean
  onChange: (rule: RuleDraft) => void
  onRemove: () => void
}

function Rule({ rule, mayChange, onChange, onRemove }: RuleProps) {
  const { t } = useLingui()
  const text = (field: 'name' | 'value' | 'than' | 'minutes' | 'model', label: string) => (
    <TextInput
      label={label}
      value={rule[field]}
      readOnly={!mayChange}
      className={field === 'name' || field === 'value' ? face.wide : face.pick}
      data-testid={`rule-${field}`}
      onChange={(event) => onChange({ ...rule, [field]: event.currentTarget.value })}
    />
  )
  const forms: readonly RuleDraft['is'][] = ['above', 'below', 'unmoved']
  return (
    <li className={page.actions} data-testid="rule">
      {text('name', t`Name`)}
      {text('value', t`Value`)}
      <NativeSelect
        label={t`When it`}
        value={rule.is}
        disabled={!mayChange}
        data={forms.map((is) => ({ value: is, label: comparison(is) }))}
        data-testid="rule-is"
        onChange={(event) => onChange({ ...rule, is: event.currentTarget.value as RuleDraft['is'] })}
      />
      {rule.is === 'unmoved' ? null : text('than', t`Threshold`)}
      {text('minutes', t`For minutes`)}
      {text('model', t`Only model`)}
      {mayChange ? (
        <Button
          variant="default"
          onClick={onRemove}
          aria-label={t`Remove the rule ${rule.name}`}
          data-testid="rule-remove"
        >
          <IconTrash size={15} aria-hidden />
        </Button>
      ) : null}
    </li>
  )
}
