import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Textarea, UnstyledButton } from '@mantine/core'
import { IconArrowLeft, IconBuildingBroadcastTower, IconDeviceDesktop } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { toProblem } from '../backend/backend.ts'
import type { ProblemView } from '../bindings.ts'
import { Logo } from '../components/Logo.tsx'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import { useSession } from '../store/context.tsx'
import classes from './FirstStartPage.module.css'
import { LocalSetupForm } from './LocalSetupForm.tsx'

type Choice = 'none' | 'join' | 'local'

/** The one question of the first start: whose NOC? */
export function FirstStartPage() {
  const { start } = useSession()
  const [choice, setChoice] = useState<Choice>('none')
  return (
    <main className={classes.page}>
      <div className={classes.box}>
        <header className={classes.head}>
          <Logo size={40} />
          <div>
            <h1 className={classes.title}>
              <Trans>Welcome to Muster</Trans>
            </h1>
            <p className={classes.lead}>
              <Trans>Set up and watch every appliance of a site in one pass.</Trans>
            </p>
          </div>
        </header>
        {choice === 'none' ? (
          <>
            <h2 className={classes.question}>
              <Trans>Where is your network operations center (NOC)?</Trans>
            </h2>
            <div className={classes.choices}>
              <ChoiceCard
                testid="start-join"
                icon={<IconBuildingBroadcastTower size={26} stroke={1.5} />}
                title={<Trans>Join a NOC</Trans>}
                onClick={() => setChoice('join')}
              >
                <Trans>Your organisation runs one. You need an invite from its administrator.</Trans>
              </ChoiceCard>
              {start.capabilities.local_noc ? (
                <ChoiceCard
                  testid="start-local"
                  icon={<IconDeviceDesktop size={26} stroke={1.5} />}
                  title={<Trans>Use this computer</Trans>}
                  onClick={() => setChoice('local')}
                >
                  <Trans>Start a NOC here, for one site or to try Muster with a practice fleet.</Trans>
                </ChoiceCard>
              ) : null}
            </div>
          </>
        ) : (
          <>
            <Button
              variant="subtle"
              color="gray"
              ml={-10}
              mb={6}
              leftSection={<IconArrowLeft size={15} aria-hidden />}
              onClick={() => setChoice('none')}
            >
              <Trans>Back</Trans>
            </Button>
            {choice === 'join' ? <JoinForm /> : <LocalSetupForm />}
          </>
        )}
      </div>
    </main>
  )
}

interface ChoiceProps {
  testid: string
  icon: ReactNode
  title: ReactNode
  children: ReactNode
  onClick: () => void
}

function ChoiceCard({ testid, icon, title, children, onClick }: ChoiceProps) {
  return (
    <UnstyledButton className={classes.choice} data-testid={testid} onClick={onClick}>
      <span className={classes.icon} aria-hidden>
        {icon}
      </span>
      <span className={classes.choiceTitle}>{title}</span>
      <span className={classes.choiceText}>{children}</span>
    </UnstyledButton>
  )
}

function JoinForm() {
  const { t } = useLingui()
  const { backend, restart } = useSession()
  const [invite, setInvite] = useState('')
  const [problem, setProblem] = useState<ProblemView | null>(null)
  const [busy, setBusy] = useState(false)
  const submit = async () => {
    setBusy(true)
    setProblem(null)
    try {
      await backend.joinNoc(invite.trim())
      await restart()
    } catch (reason) {
      setProblem(toProblem(reason))
    }
    setBusy(false)
  }
  return (
    <form
      className={classes.form}
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      <h2 className={classes.question}>
        <Trans>Join a NOC</Trans>
      </h2>
      <Textarea
        data-testid="invite-input"
        data-autofocus
        autoFocus
        label={t`Invite`}
        description={t`The NOC's administrator makes one for you. It works once, and for a limited time.`}
        placeholder="muster-invite:…"
        rows={5}
        spellCheck={false}
        classNames={{ input: 'mono' }}
        value={invite}
        onChange={(event) => setInvite(event.currentTarget.value)}
      />
      {problem ? <ProblemAlert problem={problem} /> : null}
      <div>
        <Button type="submit" size="sm" data-testid="invite-submit" loading={busy} disabled={!invite.trim()}>
          <Trans>Join</Trans>
        </Button>
      </div>
    </form>
  )
}
