import type { ConsoleAttention, ConsoleFirstRun } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Action } from '../../actions/action.ts'
import { CancelWork } from '../../actions/CancelWork.tsx'
import { useAction, useBulk } from '../../actions/useAction.ts'
import { Count } from '../../parts/Count.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { useClock } from '../../services/useClock.ts'
import { formatAhead, formatDuration } from '../../time/formatDuration.ts'
import { formatShort } from '../../time/formatExact.ts'
import { describeCatchUp, describeRates, readyCount } from './Backlog.tsx'
import { describeFailures, describeUsual } from './describeFailures.ts'
import { narrow } from '../queue/pieceSearch.ts'
import { readWorkerId } from '../worker/workerIdentity.ts'
import {
  bySeverity,
  countPieces,
  countRefused,
  countWaiting,
  formatDay,
  isBad,
} from './describeOverview.ts'

const LABELS: Readonly<Record<ConsoleAttention['kind'], string>> = {
  noWorker: 'No worker',
  late: 'Late',
  silent: 'Silent',
  unscheduled: 'Unscheduled',
  overrunning: 'Overrunning',
  poison: 'Loses workers',
  idle: 'Does nothing',
  slower: 'Slower',
  slow: 'Slow',
  refused: 'Payload refused',
  rescheduled: 'Rescheduled',
  failing: 'Failing',
  recovered: 'Recovered',
  blocked: 'Blocked',
  orphaned: 'Orphaned',
  clock: 'Clock',
  heldKey: 'Key held',
  limitExceeded: 'Over its limit',
  keyBlocked: 'Key blocked',
  connections: 'Connections',
  expired: 'Too late',
  pausedQueue: 'Paused',
  backlog: 'Behind',
  deadLetter: 'Dead letters',
  oldSnapshot: 'Old snapshot',
  lockWait: 'Lock',
  unvacuumed: 'Not vacuumed',
}

/** All that needs somebody, the worst first, each with an explanation and the action that helps. */
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
        <li key={keyOf(item)} className={`attentionItem ${toneOf(item)}`}>
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

function toneOf(item: ConsoleAttention): string {
  if (item.kind === 'recovered') return 'isGoodNews'
  return isBad(item) ? 'isBadNews' : ''
}

/** Explains one item: what is wrong, since when, and what to do. */
function Explanation({ item }: { item: ConsoleAttention }): ReactNode {
  switch (item.kind) {
    case 'noWorker':
      return (
        <>
          <p>
            <strong>Nothing runs</strong>
            {item.lastSignAt !== null && (
              <>
                : the last sign of a worker came <Moment at={item.lastSignAt} />
              </>
            )}
          </p>
          <p className="muted">
            Start a worker process, or look into its log if it should be running. What is due
            meanwhile is made up for as each job says.
          </p>
        </>
      )
    case 'late':
      return (
        <>
          <p>
            <JobLink name={item.name} />
            {item.key === undefined ? '' : `, schedule ${item.key},`} was due{' '}
            <Moment at={item.since} />
          </p>
          <p className="muted">
            {item.key === undefined
              ? 'No worker schedules it. Running it now does not make up for the tick.'
              : 'No worker that knows the job has decided it.'}
          </p>
        </>
      )
    case 'unscheduled':
      return (
        <>
          <p>
            <JobLink name={item.name} /> is scheduled by no worker
          </p>
          <p className="muted">Those that live run another version: deploy the workers too.</p>
        </>
      )
    case 'overrunning':
      return (
        <>
          <p>
            <JobLink name={item.name} /> has been running for <Elapsed since={item.since} />
          </p>
          <p className="muted">
            That is beyond its time-out: its worker is stopped or blocked, and cannot end it.
          </p>
        </>
      )
    case 'poison':
      return (
        <>
          <p>
            <strong>{item.label ?? 'A piece of work'}</strong> of <JobLink name={item.name} /> has
            lost{' '}
            <strong>
              <Count value={item.losses} /> workers
            </strong>
            , the first <Moment at={item.since} />
            <WithVersion first={item.first} />
            {item.inWeek !== null &&
              (item.inWeek <= 1
                ? ', the first of the job in 7 days'
                : `, one of ${item.inWeek.toLocaleString('en')} of the job in 7 days`)}
          </p>
          <p className="muted">
            It runs alone in its process
            {item.nextAt === null ? (
              ', at this moment.'
            ) : (
              <>
                , due <Moment at={item.nextAt} isToCome />.
              </>
            )}
            {item.isCut && ' There may be more such work than is listed.'}
          </p>
        </>
      )
    case 'idle':
      return (
        <>
          <p>
            <JobLink name={item.name} /> has done nothing in{' '}
            <strong>
              <Count value={item.runs} isCut={item.isCut} /> runs
            </strong>
            {item.first === null ? ', for more than a day' : <Since first={item.first} />}
          </p>
          <p className="muted">
            All of them succeeded and counted 0; usually it is <Count value={item.usual} />.
          </p>
        </>
      )
    case 'refused':
      return (
        <>
          <p>
            <JobLink name={item.name} /> takes the payloads of {countRefused(item)} no more, such as{' '}
            {item.key}, paused <Moment at={item.since} />
          </p>
          <p className="muted">{item.message}</p>
        </>
      )
    case 'rescheduled':
      return (
        <>
          <p>
            <JobLink name={item.name} /> has another schedule, by {item.by},{' '}
            <Moment at={item.since} />
          </p>
          <p className="muted">{item.change}</p>
        </>
      )
    case 'slower':
      return (
        <>
          <p>
            <JobLink name={item.name} />: half of its last <Count value={item.runs} /> runs took{' '}
            <strong>{formatDuration(item.p50Ms)}</strong> or more
            {item.first === null ? ', for more than a day' : <Since first={item.first} />}
          </p>
          <p className="muted">
            Those of the last hour. Usually half take {formatDuration(item.usualMs)}.
          </p>
        </>
      )
    case 'slow':
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
    case 'silent':
      return (
        <>
          <p>
            Worker <code>{item.workerId}</code> has been silent for <Elapsed since={item.since} />
          </p>
          <p className="muted">
            It still holds its runs, and nobody takes them over. If it stays silent, end{' '}
            {describeProcess(item.workerId)}.
          </p>
        </>
      )
    case 'failing':
      return <FailingText item={item} />
    case 'recovered':
      return <RecoveredText item={item} />
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
            <Moment at={item.approvableUntil} isToCome>
              {formatShort(item.approvableUntil)}
            </Moment>
          </p>
        </>
      )
    case 'backlog':
      return (
        <>
          <p>
            <JobLink name={item.name} />: <strong>{readyCount(item)} waiting</strong>,{' '}
            {describeCatchUp(item)}
          </p>
          {item.main !== null && (
            <p>
              {describeMain(item.main)}{' '}
              <Link
                to="/queue"
                search={{ work: item.name, ...narrow({}, item.main, item.main.value) }}
              >
                {nameMain(item.main)}
              </Link>
            </p>
          )}
          {item.held !== null && (
            <p>
              {item.held.slots === 1 ? 'Held' : 'The oldest is held'} for{' '}
              <Elapsed since={item.held.since} /> by{' '}
              <Link to="/runs/$id" params={{ id: item.held.runId }}>
                a run
              </Link>{' '}
              that does not end
            </p>
          )}
          <p className="muted">{describeRates(item)}</p>
        </>
      )
    case 'clock':
      return (
        <>
          <p>
            The clock of <strong>{item.host}</strong> is{' '}
            <strong>{formatAhead(item.aheadMs)}</strong>
            {item.aheadMs < 0 ? '' : ' of'} the database’s, as of a run that started{' '}
            <Moment at={item.lastAt} />
          </p>
          <p className="muted">
            {item.aheadMs < 0
              ? 'Its runs are recorded in the past, after those that others started before, and it decides ticks late.'
              : 'Its runs are recorded in the future, before those that others start now.'}{' '}
            Set its clock by the network.
          </p>
        </>
      )
    case 'heldKey':
      return (
        <>
          <p>
            <JobLink name={item.name} />: the unique key <code>{item.uniqueKey}</code> is held until{' '}
            <strong>
              <Moment at={item.until} isToCome>
                {formatDay(item.until)}
              </Moment>
            </strong>
            , by <strong>{item.label ?? 'a piece of work'}</strong> that was{' '}
            {item.isPostponed ? 'postponed' : 'enqueued'}
            {item.by === null ? '' : ` by ${item.by}`}
            {item.isPostponed ? '' : ' '}
            {!item.isPostponed && <Moment at={item.since} />}
          </p>
          <p className="muted">
            Whatever is enqueued with this key until then is left out as already queued.{' '}
            {item.count > 1 && (
              <>
                <Count value={item.count} /> pieces of this job hold their keys so.
              </>
            )}
          </p>
        </>
      )
    case 'limitExceeded':
      return (
        <>
          <p>
            {item.limit === null ? <JobLink name={item.name} /> : `The limit ${item.limit}`}
            {item.key !== null && (
              <>
                , key <code>{item.key}</code>,
              </>
            )}{' '}
            has{' '}
            <strong>
              <Count value={item.running} /> {item.running === 1 ? 'run' : 'runs'}
            </strong>{' '}
            where <Count value={item.most} /> may be
          </p>
          <p className="muted">
            This is a defect of the engine: please report it. Nothing more starts until enough have
            ended, and <code>roundsman limits list</code> lists who holds the slots.
          </p>
        </>
      )
    case 'keyBlocked':
      return (
        <>
          <p>
            <JobLink name={item.name} />, key <code>{item.key}</code>:{' '}
            <strong>{countWaiting(item)}</strong> behind a dead letter, <Moment at={item.since} />:{' '}
            <code>{item.code}</code>
          </p>
          <p className="muted">
            The work of a key is done in order, so retry the dead letter or discard it.{' '}
            {item.count > 1 && (
              <>
                <Count value={item.count} /> keys of this job wait so.
              </>
            )}
          </p>
        </>
      )
    case 'connections':
      return (
        <>
          <p>{item.problem}</p>
          <p className="muted">When none is left, workers and requests are refused.</p>
        </>
      )
    case 'expired':
      return (
        <>
          <p>
            <JobLink name={item.name} />:{' '}
            <Link
              to="/runs"
              search={{ name: item.name, errorCode: 'expired' }}
              className="strongLink"
            >
              <Count value={item.expired} /> of {item.isCut && 'the last '}
              <Count value={item.runs} /> were not started in time
            </Link>
            {item.usual !== null && <span className="muted">, {describeUsual(item.usual)}</span>}
            {item.since !== null && (
              <>
                , since <Moment at={item.since} />
              </>
            )}
          </p>
          <p className="muted">
            Those of the last hour. They were to be started by an instant, and waited for longer:
            nothing of them was done.
          </p>
        </>
      )
    case 'pausedQueue':
      return (
        <>
          <p>
            <JobLink name={item.name} />: its queue was paused <Moment at={item.since} /> by{' '}
            {item.by}
            {item.reason !== null && `: ${item.reason}`}
          </p>
          <p className="muted">
            {item.waiting === 0
              ? 'Nothing is due. What is enqueued waits until somebody resumes it.'
              : `Of what is due, ${countWaiting(item)} until somebody resumes it.`}
          </p>
        </>
      )
    case 'oldSnapshot':
      return (
        <>
          <p>
            <strong>{item.holder}</strong> keeps old rows from being removed
            {item.since !== null && (
              <>
                , in a transaction open since <Moment at={item.since} />
              </>
            )}
          </p>
          <p className="muted">
            The queue’s tables grow until it ends, and each worker that starts reads past them.
          </p>
        </>
      )
    case 'lockWait':
      return (
        <>
          <p>
            <strong>{item.waiter}</strong> has waited <Elapsed since={item.since} /> for a lock of{' '}
            <strong>{item.holder}</strong>
            {item.holderSince !== null && (
              <>
                , in a transaction open since <Moment at={item.holderSince} />
              </>
            )}
          </p>
          {item.waiters > 1 && (
            <p className="muted">{item.waiters.toLocaleString('en')} sessions wait for it.</p>
          )}
        </>
      )
    case 'unvacuumed':
      return (
        <>
          <p>{item.problem}</p>
          <p className="muted">{item.remedy}</p>
        </>
      )
    case 'orphaned':
      return (
        <>
          <p>
            <strong>{item.name}</strong>:{' '}
            <Link to="/queue" search={{ work: item.name }}>
              {item.isCut && 'at least '}
              {countPieces(item.waiting)}
            </Link>
            , and no worker knows the job
            {item.since !== null && (
              <>
                , the first since <Moment at={item.since} />
              </>
            )}
          </p>
          {item.lastRunAt !== null && (
            <p className="muted">
              Its last run started <Moment at={item.lastRunAt} />
              {item.version !== null && `, with version ${item.version}`}.
              {item.runsInWeek !== null && (
                <>
                  {' '}
                  <Count value={item.runsInWeek} isCut={item.runsInWeek >= 10_000} /> of its runs
                  started in the last 7 days.
                </>
              )}
            </p>
          )}
          <p className="muted">
            It has left the catalogue, and its work would wait for ever. Start a worker that still
            has the job, or cancel the work.
          </p>
        </>
      )
    case 'deadLetter':
      return (
        <>
          <p>
            <JobLink name={item.name} /> has given up{' '}
            <strong>
              {item.isCut && 'over '}
              <Count value={item.count} /> {item.count === 1 ? 'piece' : 'pieces'} of work
            </strong>
            {item.since !== null && (
              <span className="muted">
                , {item.count === 1 ? '' : 'the first '}
                <Moment at={item.since} />
              </span>
            )}
          </p>
          <ul className="muted causesOf">
            {item.causes.map(({ code, message, count }) => (
              <li key={code} className="isCut" title={message}>
                {item.count > 1 && (
                  <>
                    <Count value={count} isCut={item.isCut} /> ×{' '}
                  </>
                )}
                <Link to="/queue" search={{ name: item.name, errorCode: code }}>
                  <code>{code}</code>
                </Link>{' '}
                {message}
              </li>
            ))}
          </ul>
        </>
      )
    default:
      return item satisfies never
  }
}

/** How many runs fail, compared with the usual share, and the most frequent cause. */
function FailingText({ item }: { item: ConsoleAttention & { kind: 'failing' } }) {
  const { name, since, code, message, recent, latest } = item
  const text = useClock((now) => (recent === null ? '' : describeFailures(recent, now)))
  const usual = recent === null ? null : describeUsual(recent.usual)
  return (
    <>
      <p>
        <JobLink name={name} />
        {recent === null || recent.runs === 1 ? (
          <>
            {' '}
            failed <Moment at={since} />
          </>
        ) : (
          <>
            :{' '}
            <Link
              to="/runs"
              search={{ name, status: 'failed', from: recent.from }}
              className="strongLink"
            >
              {text}
            </Link>
          </>
        )}
        {usual !== null && <span className="muted">, {usual}</span>}
        {item.onHost !== null &&
          `, all on ${item.onHost.host}, none on ${item.onHost.others.join(', ')}`}
        {item.ofGroup !== null && `, ${describeGroup(item.ofGroup)}`}
        {recent !== null && recent.runs > 1 ? (
          <Since first={item.first} />
        ) : (
          <WithVersion first={item.first} />
        )}
      </p>
      <p className="muted isCut" title={message}>
        {recent !== null && recent.failed > 1 && (
          <>
            <Count value={recent.withCode} /> ×{' '}
          </>
        )}
        {recent === null ? (
          <code>{code}</code>
        ) : (
          <Link to="/runs" search={{ name, errorCode: code, from: recent.from }}>
            <code>{code}</code>
          </Link>
        )}{' '}
        {message}
      </p>
      {latest !== null && (
        <p className="muted isCut" title={latest.message}>
          The last one:{' '}
          <Link to="/runs/$id" params={{ id: latest.runId }}>
            <code>{latest.code}</code>
          </Link>{' '}
          {latest.message}
        </p>
      )}
    </>
  )
}

/** Says `all 212 with label Tenant 17`. */
function describeGroup({ field, value, failed, of }: NonNullable<Group>): string {
  const count = (number: number) => number.toLocaleString('en')
  return `${failed === of ? 'all' : `${count(failed)} of`} ${count(of)} with ${field ?? 'label'} ${value}`
}

type Group = Extract<ConsoleAttention, { kind: 'failing' }>['ofGroup']

/** Since when it is so, by the first run that showed it. */
function Since({ first }: { first: ConsoleFirstRun | null }) {
  if (first === null) return null
  return (
    <>
      , since{' '}
      <Link to="/runs/$id" params={{ id: first.runId }}>
        <Moment at={first.at} />
      </Link>
      <WithVersion first={first} />
    </>
  )
}

function WithVersion({ first }: { first: ConsoleFirstRun | null }) {
  const { version = null, runsBefore = null } = first ?? {}
  // A version that had run for long is not why.
  if (version === null || runsBefore === null) return null
  return (
    <span className="muted">
      , {runsBefore === 0 ? 'first run of version' : 'version'} {version}
    </span>
  )
}

/** What was wrong within the hour, and is no more. */
function RecoveredText({ item }: { item: ConsoleAttention & { kind: 'recovered' } }) {
  const { name, runId, code, message, recent } = item
  const text = useClock((now) => describeFailures(recent, now))
  const { failed, succeededSince, from } = recent
  return (
    <>
      <p>
        <JobLink name={name} />:{' '}
        <Link to="/runs" search={{ name, status: 'failed', from }}>
          {text}
        </Link>
        , the last <Count value={succeededSince} /> succeeded
      </p>
      <p className="muted isCut" title={message}>
        {failed > 1 && (
          <>
            <Count value={recent.withCode} /> ×{' '}
          </>
        )}
        <Link to="/runs/$id" params={{ id: runId }}>
          <code>{code}</code>
        </Link>{' '}
        {message}
      </p>
    </>
  )
}

/** The buttons and links that help with one item. */
function Act({ item }: { item: ConsoleAttention }): ReactNode {
  switch (item.kind) {
    case 'noWorker':
    case 'recovered':
    case 'unscheduled':
    case 'idle':
    case 'slower':
    case 'refused':
    case 'clock':
    case 'expired':
    case 'rescheduled':
    case 'oldSnapshot':
    case 'lockWait':
    case 'connections':
    case 'limitExceeded':
    case 'unvacuumed':
      return null
    case 'heldKey':
      return (
        <>
          <QueueLink what={`work of ${item.name}`} search={{ work: item.name }} />
          <CancelWork name={item.name} workId={item.workId} />
        </>
      )
    case 'silent':
      return (
        <Link
          className="button isSmall isQuiet"
          to="/workers/$id"
          params={{ id: item.workerId }}
          aria-label={`View: worker ${item.workerId}`}
        >
          View
        </Link>
      )
    case 'backlog':
      return <QueueLink what={`queue of ${item.name}`} search={{ work: item.name }} />
    case 'pausedQueue':
      return (
        <>
          <QueueLink what={`queue of ${item.name}`} search={{ work: item.name }} />
          <ActButton
            label={`Resume: queue of ${item.name}`}
            action={{ kind: 'resumeQueue', name: item.name }}
          >
            Resume
          </ActButton>
        </>
      )
    case 'late':
      if (item.key !== undefined) return null
      return (
        <ActButton
          label={`Run now: ${item.name}`}
          action={{ kind: 'run', name: item.name, dryRun: false }}
        >
          Run now
        </ActButton>
      )
    case 'overrunning':
    case 'slow':
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
    case 'poison':
      return (
        <>
          <RunLink item={item} />
          {item.nextAt !== null && <CancelWork name={item.name} workId={item.workId} />}
        </>
      )
    case 'failing':
      // Once more would end another worker.
      if ((item.latest?.code ?? item.code) === 'worker_lost') return <RunLink item={item} />
      return (
        <>
          <RunLink item={{ name: item.name, runId: item.latest?.runId ?? item.runId }} />
          <ActButton
            label={`Run again: ${item.name}`}
            action={{
              kind: 'run',
              name: item.name,
              dryRun: false,
              runId: item.latest?.runId ?? item.runId,
            }}
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
    case 'keyBlocked':
      return <QueueLink what={`dead letters of ${item.name}`} search={{ name: item.name }} />
    case 'orphaned':
      return <QueueLink what={`work of ${item.name}`} search={{ work: item.name }} />
    case 'deadLetter':
      return (
        <>
          <QueueLink what={`dead letters of ${item.name}`} search={{ name: item.name }} />
          <RetryAll item={item} />
        </>
      )
    default:
      return item satisfies never
  }
}

function RetryAll({
  item: { name, count, isCut },
}: {
  item: ConsoleAttention & { kind: 'deadLetter' }
}) {
  const act = useBulk()
  if (act === null) return null
  return (
    <button
      type="button"
      className="button isSmall"
      aria-label={`Retry all: ${name}`}
      onClick={() =>
        act({ what: 'redrive', count, isMore: isCut, about: `of ${name}`, which: { name } })
      }
    >
      Retry all
    </button>
  )
}

/** A button for an action; absent for people who may only look. */
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

/** Leads to a job's waiting work, or to its dead letters. */
function QueueLink(props: { what: string; search: { work: string } | { name: string } }) {
  return (
    <Link
      className="button isSmall isQuiet"
      to="/queue"
      search={props.search}
      aria-label={`View: ${props.what}`}
    >
      View
    </Link>
  )
}

function describeProcess(workerId: string): string {
  const known = readWorkerId(workerId)
  return known === null ? 'its process' : `process ${known.process} on ${known.host}`
}

function keyOf(item: ConsoleAttention): string {
  const name =
    'name' in item
      ? item.name
      : 'workerId' in item
        ? item.workerId
        : 'host' in item
          ? item.host
          : ''
  return `${item.kind} ${name} ${'runId' in item ? item.runId : ''}`
}

/** Says `97 % of it is`, or `97 % of the first 10,000 is`. */
function describeMain({ percent, looked, isCut }: NonNullable<Main>): string {
  return `${percent} % of ${isCut ? `the first ${looked.toLocaleString('en')}` : 'it'} is`
}

/** Says `tenant 42` of a label, `key 42` of a key, and `city Oslo` of a field. */
const nameMain = ({ by, field, value }: NonNullable<Main>) =>
  by === 'label' ? value : `${field ?? by} ${value}`

type Main = Extract<ConsoleAttention, { kind: 'backlog' }>['main']
