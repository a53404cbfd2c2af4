import { Trans, useLingui } from '@lingui/react/macro'
import { Button, Textarea } from '@mantine/core'
import { IconCopy } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { useAnnounce } from '../components/Announcer.tsx'
import { copyText } from '../components/copyText.ts'
import page from '../pages/page.module.css'

interface Props {
  label: string
  secret: string
  /** What to do with it. */
  children: ReactNode
  onDone: () => void
}

/** A secret that is shown this once: the NOC keeps only what proves it. */
export function Once({ label, secret, children, onDone }: Props) {
  const { t } = useLingui()
  const announce = useAnnounce()
  const [isCopied, setCopied] = useState(false)
  return (
    <div className={page.form}>
      <p className={page.lead}>{children}</p>
      <Textarea
        label={label}
        readOnly
        autosize={false}
        rows={4}
        spellCheck={false}
        data-testid="once"
        value={secret}
        onFocus={(event) => event.currentTarget.select()}
      />
      <div className={page.actions}>
        <Button
          leftSection={<IconCopy size={15} aria-hidden />}
          onClick={() => {
            void copyText(secret).then(() => {
              setCopied(true)
              announce(t`Copied.`)
            })
          }}
        >
          {isCopied ? <Trans>Copied</Trans> : <Trans>Copy</Trans>}
        </Button>
        <Button variant="default" onClick={onDone} data-testid="once-done">
          <Trans>I have it</Trans>
        </Button>
      </div>
    </div>
  )
}
