import { Trans } from '@lingui/react/macro'
import { Button } from '@mantine/core'
import { IconArrowLeft } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { NocProblem } from '../backend/noc.ts'
import { ProblemAlert } from '../components/ProblemAlert.tsx'
import page from '../pages/page.module.css'
import face from './face.module.css'
import type { Listed } from './loading.ts'
import { type Column, Rows } from './Rows.tsx'

// What pages are put together from.

/** The way up. */
export function BackLink({ to, children }: { to: string; children: ReactNode }) {
  return (
    <Button
      component={Link}
      to={to}
      variant="subtle"
      color="gray"
      ml={-10}
      mb={4}
      leftSection={<IconArrowLeft size={15} aria-hidden />}
    >
      {children}
    </Button>
  )
}

interface ListPageProps<T> {
  title: ReactNode
  label: string
  testid: string
  list: Listed<T>
  idOf: (row: T) => string
  columns: readonly Column<T>[]
  /** At the right of the title. */
  tools?: ReactNode
  /** Between title and list. */
  above?: ReactNode
  /** Instead of a list that has no rows. */
  empty: ReactNode
}

/** A page that is one list, which fills the window. */
export function ListPage<T>({
  title,
  label,
  testid,
  list,
  idOf,
  columns,
  tools,
  above,
  empty,
}: ListPageProps<T>) {
  return (
    <div className={face.filling}>
      <header className={face.tools}>
        <h1 className={page.title}>{title}</h1>
        <div className={page.grow} />
        {tools}
      </header>
      {above ? <div className={face.above}>{above}</div> : null}
      <ListProblem problem={list.problem} />
      {list.isReady && list.rows.length === 0 ? (
        empty
      ) : (
        <Rows
          label={label}
          testid={testid}
          rows={list.rows}
          idOf={idOf}
          columns={columns}
          hasMore={list.hasMore}
          onEnd={list.more}
        />
      )}
    </div>
  )
}

/** What kept a list that fills the window from being read. */
export function ListProblem({ problem }: { problem: NocProblem | null }) {
  if (!problem) return null
  return (
    <div className={face.problem}>
      <ProblemAlert problem={problem} />
    </div>
  )
}

interface CardProps {
  title: string
  /** At the right of the title. */
  tools?: ReactNode
  /** Without a margin around what is in it. */
  isFlush?: boolean
  children: ReactNode
}

/** A part of a page, with its heading. */
export function Card({ title, tools, isFlush = false, children }: CardProps) {
  return (
    <section className={page.card} aria-label={title}>
      <div className={page.cardHead}>
        <h2>{title}</h2>
        {tools ? <span className={page.grow} /> : null}
        {tools}
      </div>
      {isFlush ? children : <div className={page.cardBody}>{children}</div>}
    </section>
  )
}

/** The rest of a list that is read step by step. */
export function More<T>({ list }: { list: Listed<T> }) {
  if (!list.hasMore) return null
  return (
    <Button variant="subtle" fullWidth onClick={list.more} data-testid="more">
      <Trans>Show more</Trans>
    </Button>
  )
}
