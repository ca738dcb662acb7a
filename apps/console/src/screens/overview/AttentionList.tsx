import type { ConsoleAttention } from '@roundsman/admin/contract'
import type { LinkProps } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import type { Action } from '../../actions/action.ts'
import { ActButton, BulkButton } from '../../actions/ActButton.tsx'
import { CancelWork } from '../../actions/CancelWork.tsx'
import { Button, ButtonLink } from '../../parts/Button.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { isBad } from './describeOverview.ts'

type Kind = ConsoleAttention['kind']

const LABELS: Readonly<Record<Kind, string>> = {
  database: 'Database',
  noWorker: 'No worker',
  silent: 'Silent',
  late: 'Late',
  limitExceeded: 'Over its limit',
  endedWorkers: 'Ends workers',
  failing: 'Failing',
  deadLetters: 'Dead letters',
  inDoubt: 'In doubt',
  blocked: 'Blocked',
  paused: 'Paused',
  keyBlocked: 'Key blocked',
  lockWait: 'Lock',
  backlog: 'Behind',
  schedulesRefused: 'Payload refused',
}

/** So many are read at three in the morning. */
const MAX_SHOWN = 7

/** What needs somebody, the worst first, each with the action that helps. */
export function AttentionList({ attention }: { attention: readonly ConsoleAttention[] }) {
  const [isWhole, setWhole] = useState(false)
  if (attention.length === 0) {
    return (
      <EmptyState title="Nothing needs you">
        <p>Jobs that are late, fail, wait or were given up show up here.</p>
      </EmptyState>
    )
  }
  const left = isWhole ? 0 : Math.max(0, attention.length - MAX_SHOWN)
  return (
    <>
      <ul className="attention">
        {attention.slice(0, attention.length - left).map((item) => (
          <Finding key={`${item.kind} ${item.text}`} item={item} />
        ))}
      </ul>
      {left > 0 && <Button onClick={() => setWhole(true)}>and {left} more</Button>}
    </>
  )
}

function Finding({ item }: { item: ConsoleAttention }) {
  const { kind, stage, text, note, jobs } = item
  const tone = isBad(item) ? 'isBadNews' : stage === 'over' ? 'isGoodNews' : ''
  return (
    <li className={`attentionItem ${tone}`}>
      <span className="badge">{LABELS[kind]}</span>
      <div className="attentionText">
        <p>{withLink(text, jobs[0])}</p>
        {note !== null && <p className="muted">{note}</p>}
      </div>
      <div className="attentionActions">{actOn(item)}</div>
    </li>
  )
}

/** Links the name of the job that is most affected. */
function withLink(text: string, name: string | undefined): ReactNode {
  const at = name === undefined ? -1 : text.indexOf(name)
  if (name === undefined || at === -1) return text
  return (
    <>
      {text.slice(0, at)}
      <JobLink name={name} />
      {text.slice(at + name.length)}
    </>
  )
}

/** The buttons and links that help. */
function actOn(item: ConsoleAttention): ReactNode {
  const { kind, stage, jobs, runId, workId, workerId, key, limit, count, isCut } = item
  const name = jobs[0] ?? ''
  const view = (of: string, link: LinkProps) => (
    <ButtonLink {...link} aria-label={`View: ${of}`}>
      View
    </ButtonLink>
  )
  const act = (words: string, of: string, action: Action) => (
    <ActButton aria-label={`${words}: ${of}`} action={action}>
      {words}
    </ActButton>
  )
  const run =
    runId !== undefined && view(`run of ${name}`, { to: '/runs/$id', params: { id: runId } })
  const limits = view('limits', { to: '/limits' })
  const waiting = view(`waiting work of ${name}`, { to: '/waiting', search: { name } })
  switch (kind) {
    case 'late':
      if (key !== undefined || jobs.length !== 1) return null
      return act('Run now', name, { kind: 'run', name, dryRun: false })
    case 'silent':
      if (workerId === undefined) return null
      return view(`worker ${workerId}`, { to: '/runs', search: { worker: workerId } })
    case 'failing':
      return (
        <>
          {run}
          {runId !== undefined &&
            stage !== 'over' &&
            act('Run again', name, { kind: 'run', name, dryRun: false, runId })}
        </>
      )
    case 'endedWorkers':
      return (
        <>
          {run}
          {workId !== undefined && <CancelWork name={name} workId={workId} />}
        </>
      )
    case 'inDoubt':
      return (
        workId !== undefined &&
        view(`work of ${name}`, { to: '/waiting/$id', params: { id: workId } })
      )
    case 'blocked':
      return (
        <>
          {run}
          {runId !== undefined &&
            act('Approve', name, { kind: 'approve', name, runId, due: count })}
        </>
      )
    case 'paused':
      if (limit !== undefined) return limits
      if (key !== undefined)
        return act('Resume', `key ${key} of ${name}`, { kind: 'resumeWorkOfKey', name, key })
      return (
        <>
          {waiting}
          {act('Resume', `queue of ${name}`, { kind: 'resumeQueue', name })}
        </>
      )
    case 'deadLetters':
    case 'keyBlocked':
      return (
        <>
          {view(`dead letters of ${name}`, {
            to: '/dead-letters',
            search: { name, ...(kind === 'keyBlocked' && { key }) },
          })}
          {kind === 'deadLetters' && jobs.length === 1 && (
            <BulkButton
              aria-label={`Retry all: ${name}`}
              bulk={{ what: 'redrive', count, isMore: isCut, about: `of ${name}`, which: { name } }}
            >
              Retry all
            </BulkButton>
          )}
        </>
      )
    case 'backlog':
      return limit === undefined ? waiting : limits
    case 'limitExceeded':
      return limits
    case 'noWorker':
      return name !== '' && waiting
    case 'database':
    case 'lockWait':
    case 'schedulesRefused':
      return null
    default:
      return kind satisfies never
  }
}
