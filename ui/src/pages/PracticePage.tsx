import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { Button, MultiSelect, Slider } from '@mantine/core'
import { IconVolume, IconVolumeOff } from '@tabler/icons-react'
import { useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { ApplianceRow, PracticeKnobs, ProblemView } from '../bindings.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useSession } from '../store/context.tsx'
import classes from './PracticePage.module.css'
import page from './page.module.css'

/** The practice fleet's knobs: make things go wrong, on purpose. */
export function PracticePage() {
  const { t, i18n } = useLingui()
  const { backend, fleet, start, view } = useSession()
  const [knobs, setKnobs] = useState<PracticeKnobs>(start.knobs)
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [picked, setPicked] = useState<string[]>(() =>
    [...view.selection].filter((uid) => canSilence(fleet.appliance(uid))),
  )
  const apply = (next: PracticeKnobs) => {
    setKnobs(next)
    // The session outlives this page, and its start state is what the page begins with.
    start.knobs = next
    setProblem(null)
    backend.setKnobs(next).catch((reason: unknown) => setProblem(toProblem(reason)))
  }
  const options = [...fleet.appliances()]
    .filter((row) => canSilence(row) && !knobs.silent.includes(row.uid))
    .map((row) => ({ value: row.uid, label: nameOf(row) }))
  const valid = picked.filter((uid) => options.some((option) => option.value === uid))
  const silence = () => {
    const random = options[Math.floor(Math.random() * options.length)]
    const uids = valid.length > 0 ? valid : random ? [random.value] : []
    apply({ ...knobs, silent: [...new Set([...knobs.silent, ...uids])] })
    setPicked([])
  }
  const percent = (value: number) => i18n.number(value / 100, { style: 'percent' })
  const seconds = (value: number) =>
    i18n.number(value / 1000, {
      style: 'unit',
      unit: 'second',
      unitDisplay: 'short',
      maximumFractionDigits: 1,
    })
  return (
    <div className={page.page}>
      <header className={page.head}>
        <h1 className={page.title}>
          <Trans>Practice fleet</Trans>
        </h1>
      </header>
      <p className={page.lead}>
        <Trans>
          Simulated appliances that run the real agent, on this computer only. Make things go wrong and see
          what Muster says.
        </Trans>
      </p>
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div className={page.cards}>
        <section className={page.card}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Cut off</Trans>
            </h2>
          </div>
          <div className={`${page.cardBody} ${classes.stack}`}>
            <p className={classes.hint}>
              <Trans>
                A silenced appliance answers and beats no more. After three missed beats an alert opens and
                the desktop tells you.
              </Trans>
            </p>
            <MultiSelect
              size="xs"
              label={t`Appliances`}
              data-testid="practice-appliances"
              placeholder={valid.length === 0 ? t`Any configured one` : ''}
              searchable
              clearable
              limit={50}
              hidePickedOptions
              nothingFoundMessage={t`No configured appliance of this name`}
              data={options}
              value={valid}
              onChange={setPicked}
            />
            <Button
              data-testid="practice-silence"
              disabled={options.length === 0}
              leftSection={<IconVolumeOff size={16} aria-hidden />}
              onClick={silence}
            >
              <Plural
                value={valid.length}
                _0="Silence one at random"
                one="Silence # appliance"
                other="Silence # appliances"
              />
            </Button>
            {options.length === 0 && knobs.silent.length === 0 ? (
              <p className={classes.hint}>
                <Trans>Configure appliances first: only those beat.</Trans>
              </p>
            ) : null}
            {knobs.silent.length > 0 ? (
              <ul className={classes.silent} aria-label={t`Silenced`} data-testid="practice-silenced">
                {knobs.silent.map((uid) => {
                  const row = fleet.appliance(uid)
                  const name = row ? nameOf(row) : uid
                  return (
                    <li key={uid}>
                      <IconVolumeOff size={15} aria-hidden /> <span>{name}</span>
                      <Button
                        variant="default"
                        size="compact-xs"
                        aria-label={t`Let it speak: ${name}`}
                        onClick={() =>
                          apply({ ...knobs, silent: knobs.silent.filter((other) => other !== uid) })
                        }
                      >
                        <Trans>Let it speak</Trans>
                      </Button>
                    </li>
                  )
                })}
              </ul>
            ) : null}
            {knobs.silent.length > 1 ? (
              <Button
                variant="default"
                data-testid="practice-unsilence"
                leftSection={<IconVolume size={16} aria-hidden />}
                onClick={() => apply({ ...knobs, silent: [] })}
              >
                <Trans>Let all speak again</Trans>
              </Button>
            ) : null}
          </div>
        </section>
        <section className={page.card}>
          <div className={page.cardHead}>
            <h2>
              <Trans>Trouble while configuring</Trans>
            </h2>
          </div>
          <div className={`${page.cardBody} ${classes.stack}`}>
            <Knob
              label={t`An installation takes`}
              value={knobs.install_ms}
              max={30_000}
              step={500}
              show={seconds}
              onChange={(install_ms) => apply({ ...knobs, install_ms })}
            />
            <Knob
              label={t`Installations that fail`}
              value={knobs.fail_percent}
              max={100}
              step={5}
              show={percent}
              onChange={(fail_percent) => apply({ ...knobs, fail_percent })}
            />
            <Knob
              label={t`Packets lost, each way`}
              value={knobs.loss_percent}
              max={90}
              step={5}
              show={percent}
              onChange={(loss_percent) => apply({ ...knobs, loss_percent })}
            />
          </div>
        </section>
      </div>
    </div>
  )
}

interface KnobProps {
  label: string
  value: number
  max: number
  step: number
  show: (value: number) => string
  onChange: (value: number) => void
}

function Knob({ label, value, max, step, show, onChange }: KnobProps) {
  const [moving, setMoving] = useState<number | null>(null)
  return (
    <div>
      <div className={classes.knobHead}>
        <span>{label}</span>
        <b>{show(moving ?? value)}</b>
      </div>
      <Slider
        thumbLabel={label}
        label={null}
        size="sm"
        min={0}
        max={max}
        step={step}
        value={moving ?? value}
        onChange={setMoving}
        onChangeEnd={(end) => {
          setMoving(null)
          onChange(end)
        }}
      />
    </div>
  )
}

function canSilence(row: ApplianceRow | undefined): row is ApplianceRow {
  return row !== undefined && row.state === 'configured'
}

function nameOf(row: ApplianceRow): string {
  return row.settings.host_name ? `${row.settings.host_name} (${row.mac})` : row.mac
}
