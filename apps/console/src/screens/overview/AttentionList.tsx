import type { ConsoleAttention } from '@roundsman/fastify/contract'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Action } from '../../actions/action.ts'
import { useAction } from '../../actions/useAction.ts'
import { Count } from '../../parts/Count.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatShort } from '../../time/formatExact.ts'
import { bySeverity } from './describeOverview.ts'

const LABELS: Readonly<Record<ConsoleAttention['kind'], string>> = {
  noWorker: 'No worker',
  late: 'Late',
  overrunning: 'Overrunning',
  failed: 'Failed',
  blocked: 'Blocked',
  deadLetters: 'Dead letters',
}

export function AttentionList({ attention }: { attention: readonly ConsoleAttention[] }) {
  if (attention.length === 0) {
    return (
      <EmptyState title="Nothing needs you">
        <p>Whatever is late, fails, is blocked by its guard or given up shows up here.</p>
      </EmptyState>
    )
  }
  return (
    <ul className="attention">
      {attention.toSorted(bySeverity).map((item) => (
        <li key={keyOf(item)} className={`attentionItem is-${item.kind}`}>
          <span className="badge">{LABELS[item.kind]}</span>
          <div className="attentionText">
            <Explanation item={item} />
          </div>
          <div className="attentionActions">
            <Act item={item} />
          </div>
        </li>
      ))}
    </ul>
  )
}

function Explanation({ item }: { item: ConsoleAttention }): ReactNode {
  switch (item.kind) {
    case 'noWorker':
      return (
        <>
          <p>
            <strong>Nobody executes anything</strong>
            {item.since !== null && (
              <>
                , since <Moment at={item.since} />
              </>
            )}
          </p>
          <p className="muted">
            Start a worker with <code>pnpm start:worker</code>, or look into its log if it should be
            running.
          </p>
        </>
      )
    case 'late':
      return (
        <>
          <p>
            <JobLink name={item.name} /> was due <Moment at={item.since} />
          </p>
          <p className="muted">
            No worker schedules it. Running it now does not make up for the tick.
          </p>
        </>
      )
    case 'overrunning':
      return (
        <>
          <p>
            <JobLink name={item.name} /> has been running for <Elapsed since={item.since} />
          </p>
          <p className="muted">
            {item.usualMs === null
              ? 'That is more than half of its time-out.'
              : `Usually it takes ${formatDuration(item.usualMs)}.`}
          </p>
        </>
      )
    case 'failed':
      return (
        <>
          <p>
            <JobLink name={item.name} /> failed <Moment at={item.since} />
          </p>
          <p className="muted">
            <code>{item.code}</code> {item.message}
          </p>
        </>
      )
    case 'blocked':
      return (
        <>
          <p>
            <JobLink name={item.name} /> wanted to change{' '}
            <strong>
              <Count value={item.due} /> {item.due === 1 ? 'row' : 'rows'}
            </strong>
            , more than its guard allows, <Moment at={item.since} />
          </p>
          <p className="muted">
            Can be approved until{' '}
            <Moment at={item.approvableUntil}>{formatShort(item.approvableUntil)}</Moment>
          </p>
        </>
      )
    case 'deadLetters':
      return (
        <>
          <p>
            <JobLink name={item.name} /> has given up{' '}
            <strong>
              <Count value={item.count} /> {item.count === 1 ? 'piece' : 'pieces'} of work
            </strong>
          </p>
          <p className="muted">
            {item.count === 1 ? 'Given up' : 'The first of them'} <Moment at={item.since} />
          </p>
        </>
      )
    default:
      return item satisfies never
  }
}

function Act({ item }: { item: ConsoleAttention }): ReactNode {
  switch (item.kind) {
    case 'noWorker':
      return null
    case 'late':
      return (
        <ActButton
          label={`Run now: ${item.name}`}
          action={{ kind: 'run', name: item.name, dryRun: false }}
        >
          Run now
        </ActButton>
      )
    case 'overrunning':
      return (
        <>
          <RunLink item={item} />
          <ActButton
            label={`Cancel: ${item.name}`}
            action={{ kind: 'cancel', name: item.name, runId: item.runId }}
          >
            Cancel
          </ActButton>
        </>
      )
    case 'failed':
      return (
        <>
          <RunLink item={item} />
          <ActButton
            label={`Run again: ${item.name}`}
            action={{ kind: 'run', name: item.name, dryRun: false, runId: item.runId }}
          >
            Run again
          </ActButton>
        </>
      )
    case 'blocked':
      return (
        <>
          <RunLink item={item} />
          <ActButton
            label={`Approve: ${item.name}`}
            action={{ kind: 'approve', name: item.name, runId: item.runId, due: item.due }}
          >
            Approve
          </ActButton>
        </>
      )
    case 'deadLetters':
      return (
        <>
          <Link
            className="button isSmall isQuiet"
            to="/queue"
            search={{ name: item.name }}
            aria-label={`View: dead letters of ${item.name}`}
          >
            View
          </Link>
          <ActButton
            label={`Redrive all: ${item.name}`}
            action={{ kind: 'redriveAll', name: item.name, count: item.count }}
          >
            Redrive all
          </ActButton>
        </>
      )
    default:
      return item satisfies never
  }
}

function ActButton(props: { label: string; action: Action; children: string }) {
  const act = useAction()
  if (act === null) return null
  return (
    <button
      type="button"
      className="button isSmall"
      aria-label={props.label}
      onClick={() => act(props.action)}
    >
      {props.children}
    </button>
  )
}

function JobLink({ name }: { name: string }) {
  return (
    <Link to="/jobs/$name" params={{ name }} className="strongLink">
      {name}
    </Link>
  )
}

function RunLink({ item: { name, runId } }: { item: { name: string; runId: string } }) {
  return (
    <Link
      className="button isSmall isQuiet"
      to="/runs/$id"
      params={{ id: runId }}
      aria-label={`View: run of ${name}`}
    >
      View
    </Link>
  )
}

function keyOf(item: ConsoleAttention): string {
  const name = 'name' in item ? item.name : ''
  return `${item.kind} ${name} ${'runId' in item ? item.runId : ''}`
}
