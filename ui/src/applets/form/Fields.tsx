import { Trans, useLingui } from '@lingui/react/macro'
import {
  ActionIcon,
  Button,
  Checkbox,
  NumberInput,
  PasswordInput,
  Select,
  Textarea,
  TextInput,
} from '@mantine/core'
import { IconArrowDown, IconArrowUp, IconPlus, IconTrash } from '@tabler/icons-react'
import { isValues, pointer, type Value, type Values } from '../values.ts'
import type { FormContext } from './AppletForm.tsx'
import classes from './Fields.module.css'
import {
  type ArrayField,
  type BooleanField,
  type FormField,
  type NumberField,
  newItem,
  type ObjectField,
  type TextField,
} from './schema.ts'

type Path = readonly (string | number)[]

interface FieldsProps {
  form: ObjectField
  values: Values
  path: Path
  context: FormContext
}

/** The fields of an object, in the form's order. */
export function Fields({ form, values, path, context }: FieldsProps) {
  return (
    <div className={classes.fields}>
      {form.fields.map(({ name, field, required }) => (
        <AnyField
          key={name}
          field={field}
          label={context.say(field.title) || name}
          required={required}
          value={values[name]}
          path={[...path, name]}
          context={context}
        />
      ))}
    </div>
  )
}

interface FieldProps<F> {
  field: F
  label: string
  required: boolean
  value: Value | undefined
  path: Path
  context: FormContext
}

function AnyField({ field, ...rest }: FieldProps<FormField>) {
  switch (field.kind) {
    case 'object':
      return <Group field={field} {...rest} />
    case 'array':
      return <List field={field} {...rest} />
    case 'text':
      return <Text field={field} {...rest} />
    case 'number':
      return <Numeric field={field} {...rest} />
    case 'boolean':
      return <Tick field={field} {...rest} />
  }
}

function Tick({ field, label, value, path, context }: FieldProps<BooleanField>) {
  const at = pointer(path)
  return (
    <Checkbox
      id={context.idOf(at)}
      data-pointer={at}
      label={label}
      description={<About field={field} at={at} context={context} />}
      checked={value === true}
      indeterminate={context.differs(at)}
      error={context.errorOf(at)}
      onChange={(event) => {
        context.touch(at)
        context.change(path, event.currentTarget.checked)
      }}
    />
  )
}

/** What a field is for, and whether the appliances differ in it. */
function About({ field, at, context }: { field: FormField; at: string; context: FormContext }) {
  const about = context.say(field.description)
  if (!context.differs(at)) return about || null
  return (
    <>
      {about ? <>{about} </> : null}
      <span data-differs={at}>
        <Trans>Differs: each appliance keeps its own unless you change it here.</Trans>
      </span>
    </>
  )
}

function Group({ field, label, value, path, context }: FieldProps<ObjectField>) {
  const at = pointer(path)
  const error = context.errorOf(at)
  const id = context.idOf(at)
  return (
    <fieldset
      className={classes.group}
      aria-describedby={error ? `${id}-error` : undefined}
      data-pointer={at}
    >
      <legend className={classes.legend}>{label}</legend>
      {field.description ? <p className={classes.about}>{context.say(field.description)}</p> : null}
      <Fields form={field} values={isValues(value) ? value : {}} path={path} context={context} />
      {error ? (
        <p id={`${id}-error`} className={classes.error} role="alert">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

/** Items that can be added, moved and taken away, by mouse and keyboard. */
function List({ field, label, required, value, path, context }: FieldProps<ArrayField>) {
  const { t } = useLingui()
  const at = pointer(path)
  const id = context.idOf(at)
  const error = context.errorOf(at)
  const differs = context.differs(at)
  const items = Array.isArray(value) ? value : []
  const set = (next: Value[]) => {
    context.touch(at)
    context.change(path, next)
  }
  const move = (from: number, to: number) => {
    const next = [...items]
    const [moved = null] = next.splice(from, 1)
    next.splice(to, 0, moved)
    set(next)
  }
  const name = context.say(field.item.title) || label
  return (
    <fieldset
      className={classes.group}
      aria-describedby={error ? `${id}-error` : undefined}
      data-pointer={at}
    >
      <legend className={classes.legend}>
        {label}
        {required ? <span aria-hidden> *</span> : null}
      </legend>
      {field.description || differs ? (
        <div className={classes.about}>
          <About field={field} at={at} context={context} />
        </div>
      ) : null}
      {items.map((item, i) => {
        const place = i + 1
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: items are alike, and their place is what they are known by
          <div key={i} className={classes.item}>
            <div className={classes.itemField}>
              <AnyField
                field={field.item}
                label={`${name} ${place}`}
                required={false}
                value={item}
                path={[...path, i]}
                context={context}
              />
            </div>
            <div className={classes.itemActions}>
              <ActionIcon
                size="sm"
                aria-label={t`Move ${name} ${place} up`}
                disabled={i === 0}
                onClick={() => move(i, i - 1)}
              >
                <IconArrowUp size={14} aria-hidden />
              </ActionIcon>
              <ActionIcon
                size="sm"
                aria-label={t`Move ${name} ${place} down`}
                disabled={i === items.length - 1}
                onClick={() => move(i, i + 1)}
              >
                <IconArrowDown size={14} aria-hidden />
              </ActionIcon>
              <ActionIcon
                size="sm"
                aria-label={t`Remove ${name} ${place}`}
                disabled={items.length <= field.least}
                onClick={() => set(items.filter((_, other) => other !== i))}
              >
                <IconTrash size={14} aria-hidden />
              </ActionIcon>
            </div>
          </div>
        )
      })}
      <Button
        size="compact-xs"
        variant="default"
        leftSection={<IconPlus size={13} aria-hidden />}
        disabled={items.length >= field.most}
        onClick={() => set([...items, newItem(field.item)])}
        aria-label={differs ? t`The same for all: ${label}` : t`Add ${name}`}
      >
        {differs ? t`The same for all` : t`Add`}
      </Button>
      {error ? (
        <p id={`${id}-error`} className={classes.error} role="alert">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

function Text({ field, label, required, value, path, context }: FieldProps<TextField>) {
  const { t } = useLingui()
  const at = pointer(path)
  const inList = typeof path.at(-1) === 'number'
  const change = (text: string) => context.change(path, text === '' && !inList ? undefined : text)
  const common = {
    id: context.idOf(at),
    'data-pointer': at,
    label,
    description: <About field={field} at={at} context={context} />,
    placeholder: context.differs(at) ? t`differs` : '',
    error: context.errorOf(at),
    withAsterisk: required,
    'aria-required': required || undefined,
    onBlur: () => context.touch(at),
  }
  const text = typeof value === 'string' ? value : ''
  if (field.options)
    return (
      <Select
        {...common}
        data={[...new Set(field.options)].map((option) => ({
          value: option,
          label: context.say(option) || option,
        }))}
        value={text || null}
        clearable={!required && !inList}
        allowDeselect={false}
        onChange={(chosen) => {
          context.touch(at)
          change(chosen ?? '')
        }}
      />
    )
  if (field.secret)
    return (
      <PasswordInput
        {...common}
        autoComplete="new-password"
        spellCheck={false}
        visibilityToggleButtonProps={{ 'aria-label': t`Show ${label}` }}
        value={text}
        onChange={(event) => change(event.currentTarget.value)}
      />
    )
  if (field.lines > 1)
    return (
      <Textarea
        {...common}
        rows={field.lines}
        value={text}
        onChange={(event) => change(event.currentTarget.value)}
      />
    )
  const isTechnical = field.format !== ''
  return (
    <TextInput
      {...common}
      autoComplete="off"
      spellCheck={!isTechnical}
      classNames={isTechnical ? { input: 'mono' } : {}}
      value={text}
      onChange={(event) => change(event.currentTarget.value)}
    />
  )
}

function Numeric({ field, label, required, value, path, context }: FieldProps<NumberField>) {
  const { t } = useLingui()
  const at = pointer(path)
  const common = {
    id: context.idOf(at),
    'data-pointer': at,
    label,
    description: <About field={field} at={at} context={context} />,
    placeholder: context.differs(at) ? t`differs` : '',
    error: context.errorOf(at),
    withAsterisk: required,
    'aria-required': required || undefined,
  }
  if (field.options)
    return (
      <Select
        {...common}
        data={[...new Set(field.options)].map(String)}
        value={typeof value === 'number' ? String(value) : null}
        allowDeselect={false}
        onChange={(chosen) => {
          context.touch(at)
          context.change(path, chosen === null ? undefined : Number(chosen))
        }}
      />
    )
  return (
    <NumberInput
      {...common}
      allowDecimal={!field.integer}
      clampBehavior="none"
      {...(field.minimum === undefined ? {} : { min: field.minimum })}
      {...(field.maximum === undefined ? {} : { max: field.maximum })}
      value={typeof value === 'number' ? value : ''}
      onBlur={() => context.touch(at)}
      onChange={(next) => context.change(path, typeof next === 'number' ? next : undefined)}
    />
  )
}
