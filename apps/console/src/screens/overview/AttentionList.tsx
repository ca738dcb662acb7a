import type { ConsoleAttention } from '@roundsman/admin/contract'
import { useState, type ReactNode } from 'react'
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
  const view = runId !== undefined && (
    <ButtonLink to="/runs/$id" params={{ id: runId }} aria-label={`View: run of ${name}`}>
      View
    </ButtonLink>
  )
  const limits = (
    <ButtonLink to="/limits" aria-label="View: limits">
      View
    </ButtonLink>
  )
  const waiting = (
    <ButtonLink to="/waiting" search={{ name }} aria-label={`View: waiting work of ${name}`}>
      View
    </ButtonLink>
  )
  switch (kind) {
    case 'late':
      return (
        key === undefined &&
        jobs.length === 1 && (
          <ActButton aria-label={`Run now: ${name}`} action={{ kind: 'run', name, dryRun: false }}>
            Run now
          </ActButton>
        )
      )
    case 'silent':
      return (
        workerId !== undefined && (
          <ButtonLink
            to="/workers/$id"
            params={{ id: workerId }}
            aria-label={`View: worker ${workerId}`}
          >
            View
          </ButtonLink>
        )
      )
    case 'failing':
      return (
        <>
          {view}
          {runId !== undefined && stage !== 'over' && (
            <ActButton
              aria-label={`Run again: ${name}`}
              action={{ kind: 'run', name, dryRun: false, runId }}
            >
              Run again
            </ActButton>
          )}
        </>
      )
    case 'endedWorkers':
      return (
        <>
          {view}
          {workId !== undefined && <CancelWork name={name} workId={workId} />}
        </>
      )
    case 'blocked':
      return (
        <>
          {view}
          {runId !== undefined && (
            <ActButton
              aria-label={`Approve: ${name}`}
              action={{ kind: 'approve', name, runId, due: count }}
            >
              Approve
            </ActButton>
          )}
        </>
      )
    case 'paused':
      if (limit !== undefined) return limits
      return key === undefined ? (
        <>
          {waiting}
          <ActButton aria-label={`Resume: queue of ${name}`} action={{ kind: 'resumeQueue', name }}>
            Resume
          </ActButton>
        </>
      ) : (
        <ActButton
          aria-label={`Resume: key ${key} of ${name}`}
          action={{ kind: 'resumeWorkOfKey', name, key }}
        >
          Resume
        </ActButton>
      )
    case 'deadLetters':
    case 'keyBlocked':
      return (
        <>
          <ButtonLink
            to="/dead-letters"
            search={{ name, ...(kind === 'keyBlocked' && { key }) }}
            aria-label={`View: dead letters of ${name}`}
          >
            View
          </ButtonLink>
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
