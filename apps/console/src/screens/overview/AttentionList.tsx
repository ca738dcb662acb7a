import type { ConsoleAttention, ConsoleFirstRun } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ActButton, BulkButton } from '../../actions/ActButton.tsx'
import { CancelWork } from '../../actions/CancelWork.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
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

type Kind = ConsoleAttention['kind']
type Of<Each extends Kind> = Extract<ConsoleAttention, { kind: Each }>

/** How a finding is shown. Its parts are methods, so that one of any kind can be shown by the entry of its kind. */
interface View<Item> {
  label: string
  /** What is wrong, and since when. */
  text(item: Item): ReactNode
  /** Paragraphs of their own. */
  more?(item: Item): ReactNode
  /** What to know of it, or to do. */
  note?(item: Item): ReactNode
  /** The buttons and links that help. */
  act?(item: Item): ReactNode
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
        <Finding key={keyOf(item)} item={item} />
      ))}
    </ul>
  )
}

function Finding({ item }: { item: ConsoleAttention }) {
  const view: View<ConsoleAttention> = VIEWS[item.kind]
  const note = view.note?.(item) ?? null
  return (
    <li className={`attentionItem ${toneOf(item)}`}>
      <span className="badge">{view.label}</span>
      <div className="attentionText">
        <p>{view.text(item)}</p>
        {view.more?.(item)}
        {note !== null && <p className="muted">{note}</p>}
      </div>
      <div className="attentionActions">{view.act?.(item)}</div>
    </li>
  )
}

function toneOf(item: ConsoleAttention): string {
  if (item.kind === 'recovered') return 'isGoodNews'
  return isBad(item) ? 'isBadNews' : ''
}

const VIEWS: { readonly [Each in Kind]: View<Of<Each>> } = {
  noWorker: {
    label: 'No worker',
    text: ({ lastSignAt }) => (
      <>
        <strong>Nothing runs</strong>
        {lastSignAt !== null && (
          <>
            : the last sign of a worker came <Moment at={lastSignAt} />
          </>
        )}
      </>
    ),
    note: () =>
      'Start a worker process, or look into its log if it should be running. What is due meanwhile is made up for as each job says.',
  },
  late: {
    label: 'Late',
    text: ({ name, key, since }) => (
      <>
        <JobLink name={name} />
        {key === undefined ? '' : `, schedule ${key},`} was due <Moment at={since} />
      </>
    ),
    note: ({ key }) =>
      key === undefined
        ? 'No worker schedules it. Running it now does not make up for the tick.'
        : 'No worker that knows the job has decided it.',
    act: ({ name, key }) =>
      key === undefined && (
        <ActButton aria-label={`Run now: ${name}`} action={{ kind: 'run', name, dryRun: false }}>
          Run now
        </ActButton>
      ),
  },
  unscheduled: {
    label: 'Unscheduled',
    text: ({ name }) => (
      <>
        <JobLink name={name} /> is scheduled by no worker
      </>
    ),
    note: () => 'Those that live run another version: deploy the workers too.',
  },
  overrunning: {
    label: 'Overrunning',
    text: (item) => <RunningFor {...item} />,
    note: () => 'That is beyond its time-out: its worker is stopped or blocked, and cannot end it.',
    act: (item) => <ViewAndCancel {...item} />,
  },
  poison: {
    label: 'Loses workers',
    text: ({ label, name, losses, since, first, inWeek }) => (
      <>
        <strong>{label ?? 'A piece of work'}</strong> of <JobLink name={name} /> has lost{' '}
        <strong>
          <Count value={losses} /> workers
        </strong>
        , the first <Moment at={since} />
        <WithVersion first={first} />
        {inWeek !== null &&
          (inWeek <= 1
            ? ', the first of the job in 7 days'
            : `, one of ${inWeek.toLocaleString('en')} of the job in 7 days`)}
      </>
    ),
    note: ({ nextAt, isCut }) => (
      <>
        It runs alone in its process
        {nextAt === null ? (
          ', at this moment.'
        ) : (
          <>
            , due <Moment at={nextAt} isToCome />.
          </>
        )}
        {isCut && ' There may be more such work than is listed.'}
      </>
    ),
    act: (item) => (
      <>
        <RunLink item={item} />
        {item.nextAt !== null && <CancelWork name={item.name} workId={item.workId} />}
      </>
    ),
  },
  idle: {
    label: 'Does nothing',
    text: ({ name, runs, isCut, first }) => (
      <>
        <JobLink name={name} /> has done nothing in{' '}
        <strong>
          <Count value={runs} isCut={isCut} /> runs
        </strong>
        {first === null ? ', for more than a day' : <Since first={first} />}
      </>
    ),
    note: ({ usual }) => (
      <>
        All of them succeeded and counted 0; usually it is <Count value={usual} />.
      </>
    ),
  },
  refused: {
    label: 'Payload refused',
    text: (item) => (
      <>
        <JobLink name={item.name} /> takes the payloads of {countRefused(item)} no more, such as{' '}
        {item.key}, paused <Moment at={item.since} />
      </>
    ),
  },
  rescheduled: {
    label: 'Rescheduled',
    text: ({ name, by, since }) => (
      <>
        <JobLink name={name} /> has another schedule, by {by}, <Moment at={since} />
      </>
    ),
    note: ({ change }) => change,
  },
  slower: {
    label: 'Slower',
    text: ({ name, runs, p50Ms, first }) => (
      <>
        <JobLink name={name} />: half of its last <Count value={runs} /> runs took{' '}
        <strong>{formatDuration(p50Ms)}</strong> or more
        {first === null ? ', for more than a day' : <Since first={first} />}
      </>
    ),
    note: ({ usualMs }) => `Those of the last hour. Usually half take ${formatDuration(usualMs)}.`,
  },
  slow: {
    label: 'Slow',
    text: (item) => <RunningFor {...item} />,
    note: ({ usualMs }) =>
      usualMs === null
        ? 'That is more than half of its time-out.'
        : `Usually it takes ${formatDuration(usualMs)}.`,
    act: (item) => <ViewAndCancel {...item} />,
  },
  silent: {
    label: 'Silent',
    text: ({ workerId, since }) => (
      <>
        Worker <code>{workerId}</code> has been silent for <Elapsed since={since} />
      </>
    ),
    note: ({ workerId }) =>
      `It still holds its runs, and nobody takes them over. If it stays silent, end ${describeProcess(workerId)}.`,
    act: ({ workerId }) => (
      <Link
        className="button isSmall isQuiet"
        to="/workers/$id"
        params={{ id: workerId }}
        aria-label={`View: worker ${workerId}`}
      >
        View
      </Link>
    ),
  },
  failing: {
    label: 'Failing',
    text: (item) => <FailingText item={item} />,
    more: (item) => <FailingCauses item={item} />,
    act: (item) => {
      const { name } = item
      const { runId, code } = item.latest ?? item
      // Once more would end another worker.
      if (code === 'worker_lost') return <RunLink item={item} />
      return (
        <>
          <RunLink item={{ name, runId }} />
          <ActButton
            aria-label={`Run again: ${name}`}
            action={{ kind: 'run', name, dryRun: false, runId }}
          >
            Run again
          </ActButton>
        </>
      )
    },
  },
  recovered: {
    label: 'Recovered',
    text: (item) => <RecoveredText item={item} />,
    more: ({ runId, code, thrown, recent }) => (
      <p className="muted isCut" title={thrown}>
        {recent.failed > 1 && (
          <>
            <Count value={recent.withCode} /> ×{' '}
          </>
        )}
        <Link to="/runs/$id" params={{ id: runId }}>
          <code>{code}</code>
        </Link>{' '}
        {thrown}
      </p>
    ),
  },
  blocked: {
    label: 'Blocked',
    text: ({ name, due, since }) => (
      <>
        <JobLink name={name} /> wanted to change{' '}
        <strong>
          <Count value={due} /> {due === 1 ? 'row' : 'rows'}
        </strong>
        , more than its guard allows, <Moment at={since} />
      </>
    ),
    note: ({ approvableUntil }) => (
      <>
        Can be approved until{' '}
        <Moment at={approvableUntil} isToCome>
          {formatShort(approvableUntil)}
        </Moment>
      </>
    ),
    act: (item) => (
      <>
        <RunLink item={item} />
        <ActButton
          aria-label={`Approve: ${item.name}`}
          action={{ kind: 'approve', name: item.name, runId: item.runId, due: item.due }}
        >
          Approve
        </ActButton>
      </>
    ),
  },
  backlog: {
    label: 'Behind',
    text: (item) => (
      <>
        <JobLink name={item.name} />: <strong>{readyCount(item)} waiting</strong>,{' '}
        {describeCatchUp(item)}
      </>
    ),
    more: ({ name, main, held }) => (
      <>
        {main !== null && (
          <p>
            {describeMain(main)}{' '}
            <Link to="/queue" search={{ work: name, ...narrow({}, main, main.value) }}>
              {nameMain(main)}
            </Link>
          </p>
        )}
        {held !== null && (
          <p>
            {held.slots === 1 ? 'Held' : 'The oldest is held'} for <Elapsed since={held.since} /> by{' '}
            <Link to="/runs/$id" params={{ id: held.runId }}>
              a run
            </Link>{' '}
            that does not end
          </p>
        )}
      </>
    ),
    note: (item) => describeRates(item),
    act: ({ name }) => <QueueLink what={`queue of ${name}`} search={{ work: name }} />,
  },
  clock: {
    label: 'Clock',
    text: ({ host, aheadMs, lastAt }) => (
      <>
        The clock of <strong>{host}</strong> is <strong>{formatAhead(aheadMs)}</strong>
        {aheadMs < 0 ? '' : ' of'} the database’s, as of a run that started <Moment at={lastAt} />
      </>
    ),
    note: ({ aheadMs }) =>
      `${
        aheadMs < 0
          ? 'Its runs are recorded in the past, after those that others started before, and it decides ticks late.'
          : 'Its runs are recorded in the future, before those that others start now.'
      } Set its clock by the network.`,
  },
  heldKey: {
    label: 'Key held',
    text: ({ name, uniqueKey, until, label, isPostponed, by, since }) => (
      <>
        <JobLink name={name} />: the unique key <code>{uniqueKey}</code> is held until{' '}
        <strong>
          <Moment at={until} isToCome>
            {formatDay(until)}
          </Moment>
        </strong>
        , by <strong>{label ?? 'a piece of work'}</strong> that was{' '}
        {isPostponed ? 'postponed' : 'enqueued'}
        {by === null ? '' : ` by ${by}`}
        {isPostponed ? '' : ' '}
        {!isPostponed && <Moment at={since} />}
      </>
    ),
    note: ({ count }) => (
      <>
        Whatever is enqueued with this key until then is left out as already queued.{' '}
        {count > 1 && (
          <>
            <Count value={count} /> pieces of this job hold their keys so.
          </>
        )}
      </>
    ),
    act: ({ name, workId }) => (
      <>
        <QueueLink what={`work of ${name}`} search={{ work: name }} />
        <CancelWork name={name} workId={workId} />
      </>
    ),
  },
  limitExceeded: {
    label: 'Over its limit',
    text: ({ limit, name, key, running, most }) => (
      <>
        {limit === null ? <JobLink name={name} /> : `The limit ${limit}`}
        {key !== null && (
          <>
            , key <code>{key}</code>,
          </>
        )}{' '}
        has{' '}
        <strong>
          <Count value={running} /> {running === 1 ? 'run' : 'runs'}
        </strong>{' '}
        where <Count value={most} /> may be
      </>
    ),
    note: () => (
      <>
        This is a defect of the engine: please report it. Nothing more starts until enough have
        ended, and <code>roundsman limits list</code> lists who holds the slots.
      </>
    ),
  },
  keyBlocked: {
    label: 'Key blocked',
    text: (item) => (
      <>
        <JobLink name={item.name} />, key <code>{item.key}</code>:{' '}
        <strong>{countWaiting(item)}</strong> behind a dead letter, <Moment at={item.since} />:{' '}
        <code>{item.code}</code>
      </>
    ),
    note: ({ count }) => (
      <>
        The work of a key is done in order, so retry the dead letter or discard it.{' '}
        {count > 1 && (
          <>
            <Count value={count} /> keys of this job wait so.
          </>
        )}
      </>
    ),
    act: ({ name }) => <QueueLink what={`dead letters of ${name}`} search={{ name }} />,
  },
  connections: {
    label: 'Connections',
    text: ({ problem }) => problem,
    note: () => 'When none is left, workers and requests are refused.',
  },
  expired: {
    label: 'Too late',
    text: ({ name, expired, isCut, runs, usual, since }) => (
      <>
        <JobLink name={name} />:{' '}
        <Link to="/runs" search={{ name, errorCode: 'expired' }} className="strongLink">
          <Count value={expired} /> of {isCut && 'the last '}
          <Count value={runs} /> were not started in time
        </Link>
        {usual !== null && <span className="muted">, {describeUsual(usual)}</span>}
        {since !== null && (
          <>
            , since <Moment at={since} />
          </>
        )}
      </>
    ),
    note: () =>
      'Those of the last hour. They were to be started by an instant, and waited for longer: nothing of them was done.',
  },
  pausedQueue: {
    label: 'Paused',
    text: ({ name, since, by, reason }) => (
      <>
        <JobLink name={name} />: its queue was paused <Moment at={since} /> by {by}
        {reason !== null && `: ${reason}`}
      </>
    ),
    note: (item) =>
      item.waiting === 0
        ? 'Nothing is due. What is enqueued waits until somebody resumes it.'
        : `Of what is due, ${countWaiting(item)} until somebody resumes it.`,
    act: ({ name }) => (
      <>
        <QueueLink what={`queue of ${name}`} search={{ work: name }} />
        <ActButton aria-label={`Resume: queue of ${name}`} action={{ kind: 'resumeQueue', name }}>
          Resume
        </ActButton>
      </>
    ),
  },
  oldSnapshot: {
    label: 'Old snapshot',
    text: ({ holder, since }) => (
      <>
        <strong>{holder}</strong> keeps old rows from being removed
        <OpenSince at={since} />
      </>
    ),
    note: () =>
      'The queue’s tables grow until it ends, and each worker that starts reads past them.',
  },
  lockWait: {
    label: 'Lock',
    text: ({ waiter, since, holder, holderSince }) => (
      <>
        <strong>{waiter}</strong> has waited <Elapsed since={since} /> for a lock of{' '}
        <strong>{holder}</strong>
        <OpenSince at={holderSince} />
      </>
    ),
    note: ({ waiters }) =>
      waiters > 1 ? `${waiters.toLocaleString('en')} sessions wait for it.` : null,
  },
  unvacuumed: {
    label: 'Not vacuumed',
    text: ({ problem }) => problem,
    note: ({ remedy }) => remedy,
  },
  orphaned: {
    label: 'Orphaned',
    text: ({ name, isCut, waiting, since }) => (
      <>
        <strong>{name}</strong>:{' '}
        <Link to="/queue" search={{ work: name }}>
          {isCut && 'at least '}
          {countPieces(waiting)}
        </Link>
        , and no worker knows the job
        {since !== null && (
          <>
            , the first since <Moment at={since} />
          </>
        )}
      </>
    ),
    more: ({ lastRunAt, version, runsInWeek }) =>
      lastRunAt !== null && (
        <p className="muted">
          Its last run started <Moment at={lastRunAt} />
          {version !== null && `, with version ${version}`}.
          {runsInWeek !== null && (
            <>
              {' '}
              <Count value={runsInWeek} isCut={runsInWeek >= 10_000} /> of its runs started in the
              last 7 days.
            </>
          )}
        </p>
      ),
    note: () =>
      'It has left the catalogue, and its work would wait for ever. Start a worker that still has the job, or cancel the work.',
    act: ({ name }) => <QueueLink what={`work of ${name}`} search={{ work: name }} />,
  },
  deadLetter: {
    label: 'Dead letters',
    text: ({ name, isCut, count, since }) => (
      <>
        <JobLink name={name} /> has given up{' '}
        <strong>
          {isCut && 'over '}
          <Count value={count} /> {count === 1 ? 'piece' : 'pieces'} of work
        </strong>
        {since !== null && (
          <span className="muted">
            , {count === 1 ? '' : 'the first '}
            <Moment at={since} />
          </span>
        )}
      </>
    ),
    more: (item) => (
      <ul className="muted causesOf">
        {item.causes.map(({ code, thrown, count }) => (
          <li key={code} className="isCut" title={thrown}>
            {item.count > 1 && (
              <>
                <Count value={count} isCut={item.isCut} /> ×{' '}
              </>
            )}
            <Link to="/queue" search={{ name: item.name, errorCode: code }}>
              <code>{code}</code>
            </Link>{' '}
            {thrown}
          </li>
        ))}
      </ul>
    ),
    act: ({ name, count, isCut }) => (
      <>
        <QueueLink what={`dead letters of ${name}`} search={{ name }} />
        <BulkButton
          aria-label={`Retry all: ${name}`}
          bulk={{ what: 'redrive', count, isMore: isCut, about: `of ${name}`, which: { name } }}
        >
          Retry all
        </BulkButton>
      </>
    ),
  },
}

function RunningFor({ name, since }: { name: string; since: string }) {
  return (
    <>
      <JobLink name={name} /> has been running for <Elapsed since={since} />
    </>
  )
}

function OpenSince({ at }: { at: string | null }) {
  return (
    at !== null && (
      <>
        , in a transaction open since <Moment at={at} />
      </>
    )
  )
}

function ViewAndCancel({ name, runId }: { name: string; runId: string }) {
  return (
    <>
      <RunLink item={{ name, runId }} />
      <ActButton aria-label={`Cancel: ${name}`} action={{ kind: 'cancel', name, runId }}>
        Cancel
      </ActButton>
    </>
  )
}

/** How many runs fail, compared with the usual share. */
function FailingText({ item }: { item: Of<'failing'> }) {
  const { name, since, recent, first, onHost, ofGroup } = item
  const text = useClock((now) => (recent === null ? '' : describeFailures(recent, now)))
  const usual = recent === null ? null : describeUsual(recent.usual)
  return (
    <>
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
      {onHost !== null && `, all on ${onHost.host}, none on ${onHost.others.join(', ')}`}
      {ofGroup !== null && `, ${describeGroup(ofGroup)}`}
      {recent !== null && recent.runs > 1 ? <Since first={first} /> : <WithVersion first={first} />}
    </>
  )
}

/** The most frequent cause, and that of the last failure where it is another. */
function FailingCauses({ item: { name, code, thrown, recent, latest } }: { item: Of<'failing'> }) {
  return (
    <>
      <p className="muted isCut" title={thrown}>
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
        {thrown}
      </p>
      {latest !== null && (
        <p className="muted isCut" title={latest.thrown}>
          The last one:{' '}
          <Link to="/runs/$id" params={{ id: latest.runId }}>
            <code>{latest.code}</code>
          </Link>{' '}
          {latest.thrown}
        </p>
      )}
    </>
  )
}

/** What was wrong within the hour, and is no more. */
function RecoveredText({ item: { name, recent } }: { item: Of<'recovered'> }) {
  const text = useClock((now) => describeFailures(recent, now))
  return (
    <>
      <JobLink name={name} />:{' '}
      <Link to="/runs" search={{ name, status: 'failed', from: recent.from }}>
        {text}
      </Link>
      , the last <Count value={recent.succeededSince} /> succeeded
    </>
  )
}

/** Says `all 212 with label Tenant 17`. */
function describeGroup({ field, value, failed, of }: NonNullable<Group>): string {
  const count = (number: number) => number.toLocaleString('en')
  return `${failed === of ? 'all' : `${count(failed)} of`} ${count(of)} with ${field ?? 'label'} ${value}`
}

type Group = Of<'failing'>['ofGroup']

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

type Main = Of<'backlog'>['main']
