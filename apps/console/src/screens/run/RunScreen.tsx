import type { KeptLog, RunDetail } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useShowPayload } from '../../actions/ShowPayload.tsx'
import { ApiError } from '../../api/apiError.ts'
import { runDetailQuery } from '../../api/queries.ts'
import { inWords, placeOf, readRunDetails, type RunError } from '../../api/readRunDetails.ts'
import { ActionLog } from '../../parts/ActionLog.tsx'
import { Button } from '../../parts/Button.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { Fact } from '../../parts/Fact.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatMillis, formatRecent } from '../../time/formatExact.ts'
import { startOf } from '../../api/run.ts'
import { Attempts } from './Attempts.tsx'
import { RunActions } from './RunActions.tsx'
import { Children, Origin, SameLabel, saysOrigin } from './RunLinks.tsx'
import { StepsPanel } from '../work/StepsPanel.tsx'
import { Timeline } from './Timeline.tsx'
import { describeClock, latenessMs } from './runTimeline.ts'

const route = getRouteApi('/runs/$id')

export function RunScreen(): ReactNode {
  const { api } = useServices()
  const { id } = route.useParams()
  const run = useQuery(runDetailQuery(api, id))
  const { status } = run.error instanceof ApiError ? run.error : { status: null }

  if (run.data === undefined && (status === 404 || status === 400)) {
    return (
      <>
        <ScreenHeader title="Run" />
        <EmptyState title="There is no run with this id">
          <p>
            Runs are removed after a while. <Link to="/runs">All runs</Link>
          </p>
        </EmptyState>
      </>
    )
  }
  return (
    <>
      <ScreenHeader
        title={run.data === undefined ? 'Run' : titleOf(run.data)}
        lead={run.data === undefined ? <Skeleton kind="line" /> : <Lead run={run.data} />}
      >
        {run.data && <RunActions run={run.data} />}
      </ScreenHeader>
      <QueryView query={run} skeleton={<Skeleton kind="panel" count={2} />}>
        {(data) => (
          <div className="columns">
            <div className="column">
              <Failure run={data} />
              <Waits run={data} />
              <StillDue run={data} />
              <SameLabel run={data} />
              {data.logs !== null && (
                <Panel title="Log">
                  <LogLines log={data.logs} />
                </Panel>
              )}
              <Panel title="Timeline">
                <Timeline run={data} />
              </Panel>
              {data.workId !== null && (
                <StepsPanel
                  work={{ workId: data.workId, name: data.name, label: data.label }}
                  losses={data.work.losses ?? 0}
                />
              )}
              <Panel title="Attempts at this work" aside={<AllAttempts run={data} />}>
                <Attempts run={data} />
              </Panel>
              {(data.links.children.length > 0 || data.links.areChildrenCut) && (
                <Panel title="Came from this run">
                  <Children run={data} />
                </Panel>
              )}
              {data.actions.length > 0 && (
                <Panel title="Activity">
                  <ActionLog actions={data.actions} />
                </Panel>
              )}
            </div>
            <div className="column">
              {(data.status === 'running' || hasCounts(data)) && (
                <Panel title="Counts">
                  <Counts run={data} />
                </Panel>
              )}
              <Panel title="Details">
                <Facts run={data} />
              </Panel>
            </div>
          </div>
        )}
      </QueryView>
    </>
  )
}

/** The title of a run. The label tells it from others of its job. */
function titleOf({ name, label }: RunDetail): string {
  return label === null ? `Run of ${name}` : `${name}: ${label}`
}

/** A link to the list of all attempts, with what each counted and why it failed. */
function AllAttempts({ run: { workId } }: { run: RunDetail }) {
  if (workId === null) return null
  return (
    <Link to="/runs" search={{ workId }}>
      All attempts of this work
    </Link>
  )
}

function Lead({ run }: { run: RunDetail }) {
  return (
    <p className="runLead">
      <StatusMark status={run.outcome} />
      {run.dryRun && <span className="badge isPlain">dry run</span>}
      <span className="muted">
        {run.durationMs === null ? (
          <>
            for <Elapsed since={startOf(run)} />
          </>
        ) : (
          <>
            {run.outcome === 'lost' ? 'noticed after' : 'in'} {formatDuration(run.durationMs)}
          </>
        )}
        , started <Moment at={startOf(run)} />
      </span>
      {run.status === 'running' && (
        <ProgressBar progress={run.progress} label="Progress of the run" />
      )}
    </p>
  )
}

function Failure({ run }: { run: RunDetail }) {
  const { error, guard } = readRunDetails(run.details)
  if (error === null) return null
  if (error.code !== 'guard_blocked' || guard === null) return <Cause run={run} error={error} />
  return (
    <section className="problem isMild" aria-label="Error">
      <p className="problemTitle">
        <code>{error.code}</code>
      </p>
      <p>
        {run.approvedAt === null
          ? `${guard.due.toLocaleString('en')} rows were due, and ${guard.allowed.toLocaleString('en')} may be changed without an approval. Nothing was changed.`
          : 'It was approved; the run that followed carries the reason.'}
      </p>
    </section>
  )
}

function StillDue({ run }: { run: RunDetail }) {
  const { stillDue } = readRunDetails(run.details)
  if (stillDue === null) return null
  return (
    <section className="problem isMild" aria-label="Still due">
      <p className="problemTitle">{stillDue} still due</p>
      <p>
        It passed over these rows, since others had them locked. They are due again in the next run.
      </p>
    </section>
  )
}

/** Which locks the run may wait for at this moment. */
function Waits({ run: { waits } }: { run: RunDetail }) {
  if (waits.length === 0) return null
  return (
    <section className="problem isMild" aria-label="Waits">
      {waits.map(({ isOfWorker, waiter, since, holder, holderSince }) => (
        <p key={waiter} className="isWrapped">
          {isOfWorker ? 'Its worker waits' : 'A session of this database waits'} for{' '}
          <Elapsed since={since} /> for a lock of {holder}
          {holderSince !== null && (
            <>
              , in a transaction that began <Moment at={holderSince} />
            </>
          )}
          . <span className="muted">{isOfWorker ? waiter : `${waiter}; it may be this run.`}</span>
        </p>
      ))}
    </section>
  )
}

/** What was thrown, where in the product's code, and what led to it. */
function Cause({ run, error }: { run: RunDetail; error: RunError }) {
  const { code, name, message, meaning, frames, causes } = error
  const [first, ...others] = frames
  return (
    <section className="problem" aria-label="Error">
      <p className="problemTitle">
        {name !== null && <span>{name}</span>}
        <code>{code}</code>
        {first !== undefined && <code className="errorPlace">{placeOf(first)}</code>}
      </p>
      {message === null ? (
        <p className="muted">
          Its message, causes and log lines are shown to people who may see payloads.
        </p>
      ) : (
        <p className="isWrapped">{message}</p>
      )}
      {meaning !== null && <p className="muted">{meaning}</p>}
      {code === 'handler_failed' && (
        <p className="muted">The handler threw this, and gave it no code of its own.</p>
      )}
      <EqualFailures run={run} code={code} />
      <Differences run={run} />
      {causes.length > 0 && (
        <ol className="causes" aria-label="Causes">
          {causes.map((cause, at) => (
            // They have no name of their own, and never move.
            <li key={at} className="isWrapped">
              <span className="muted">Caused by</span>{' '}
              {cause.code !== null && <code>{cause.code}</code>} {cause.message}
            </li>
          ))}
        </ol>
      )}
      {first !== undefined && (
        <details className="stack">
          <summary>
            <code>{first}</code>
            {others.length > 0 && (
              <span className="muted">
                {' '}
                and {others.length} more {others.length === 1 ? 'frame' : 'frames'}
              </span>
            )}
          </summary>
          {others.length > 0 && <pre>{others.join('\n')}</pre>}
        </details>
      )}
    </section>
  )
}

/** Tells how many runs of the job failed alike, with a link to them; nothing when this is the only one. */
function EqualFailures({ run: { name, equalFailures }, code }: { run: RunDetail; code: string }) {
  const { clock } = useServices()
  if (equalFailures === null || equalFailures.count < 2) return null
  const { count, since, isCut } = equalFailures
  return (
    <p>
      <Link to="/runs" search={{ name, errorCode: code, from: since }}>
        {code}, {count.toLocaleString('en')}
        {isCut ? ' or more' : ''} runs
      </Link>{' '}
      since <Moment at={since}>{formatRecent(since, clock.now())}</Moment>
    </p>
  )
}

/** In what the run differs from the last one that succeeded. */
function Differences({ run: { lastSuccess } }: { run: RunDetail }) {
  if (lastSuccess === null) return null
  const { id, startedAt, differences } = lastSuccess
  const success = (
    <>
      <Link to="/runs/$id" params={{ id }}>
        the last success
      </Link>
      , <Moment at={startedAt} />
    </>
  )
  if (differences.length === 0) return <p>Same version, host and shown payload as {success}</p>
  return (
    <>
      <p>Differs from {success}, by:</p>
      <ul className="causes">
        {differences.map(({ of, was, is }) => (
          <li key={of} className="isWrapped">
            <code>{of}</code> {is ?? 'none'} <span className="muted">was {was ?? 'none'}</span>
          </li>
        ))}
      </ul>
    </>
  )
}

function hasCounts(run: RunDetail): boolean {
  const { counts, facts, guard } = readRunDetails(run.details)
  return counts.length > 0 || facts.length > 0 || guard !== null
}

function Counts({ run }: { run: RunDetail }) {
  if (!hasCounts(run)) return <EmptyState title="Nothing counted yet" />
  const { counts, facts, guard } = readRunDetails(run.details)
  return (
    <dl className="facts isNumbers">
      {counts.map(({ name, value }) => (
        <Fact key={name} name={inWords(name)}>
          {value.toLocaleString('en', { maximumFractionDigits: 3 })}
        </Fact>
      ))}
      {guard !== null && (
        <>
          <Fact name="Due, by the guard">{guard.due.toLocaleString('en')}</Fact>
          <Fact name="Allowed">{guard.allowed.toLocaleString('en')}</Fact>
        </>
      )}
      {facts.map(({ name, value }) => (
        <Fact key={name} name={inWords(name)} isWrapped>
          {value}
        </Fact>
      ))}
    </dl>
  )
}

/** What started a run for which no person asked. */
const STARTED_BY: Readonly<Record<RunDetail['trigger'], string>> = {
  schedule: 'Schedule',
  queue: 'Enqueued work',
  manual: 'Unknown',
  cli: 'Command line',
}

function Facts({ run }: { run: RunDetail }) {
  const lateMs = latenessMs(run)
  return (
    <dl className="facts">
      <Fact name="Job">
        <Link to="/jobs/$name" params={{ name: run.name }}>
          {run.name}
        </Link>{' '}
        <span className="muted">
          (
          <Link to="/runs" search={{ name: run.name }}>
            its runs
          </Link>
          ,{' '}
          <Link to="/runs" search={{ name: run.name, status: 'failed' }}>
            its failures
          </Link>
          )
        </span>
      </Fact>
      {Object.entries(run.shown ?? {}).map(([name, value]) => (
        <Fact key={name} name={inWords(name)} isWrapped>
          {String(value)}
        </Fact>
      ))}
      <Payload run={run} />
      {(run.actor !== null || !saysOrigin(run)) && (
        <Fact name="Started by">
          {run.actor ?? STARTED_BY[run.trigger]}
          {run.trigger === 'cli' && run.actor !== null && (
            <span className="muted"> (command line)</span>
          )}
        </Fact>
      )}
      <Origin run={run} />
      {run.reason !== null && run.reason !== '' && (
        <Fact name="Reason" isWrapped>
          {run.reason}
        </Fact>
      )}
      {lateMs !== null && <Fact name="Started late by">{formatDuration(lateMs)}</Fact>}
      <Fact name="Attempt">{run.attempt}</Fact>
      <Fact name="Worker">
        <Link to="/runs" search={{ worker: run.workerId }}>
          <code className="isWrapped">{run.workerId}</code>
        </Link>{' '}
        <span className="muted">{describeClock(run)}</span>
      </Fact>
      <Fact name="Version" isWrapped>
        {run.version ?? 'unknown'}
      </Fact>
      <Fact name="Run">
        <code className="isWrapped">{run.id}</code>
      </Fact>
      {run.workId !== null && (
        <Fact name="Work">
          <code className="isWrapped">{run.workId}</code>
        </Fact>
      )}
    </dl>
  )
}

/** For those who may look. A tick's work has none. */
function Payload({ run }: { run: RunDetail }) {
  const show = useShowPayload()
  if (show === null || run.trigger === 'schedule') return null
  return (
    <Fact name="Payload">
      {run.work.holdsPayload ? (
        <Button onClick={() => show({ of: `runs/${run.id}`, name: titleOf(run) })}>
          Show payload
        </Button>
      ) : (
        <span className="muted">Removed when the work ended</span>
      )}
    </Fact>
  )
}

/** The last lines that a run has logged, oldest first. */
function LogLines({ log: { lines, earlier } }: { log: KeptLog }) {
  return (
    <>
      {earlier > 0 && (
        <p className="muted">
          {earlier.toLocaleString('en')} earlier {earlier === 1 ? 'line is' : 'lines are'} not kept
        </p>
      )}
      <ol className="logLines" tabIndex={0} aria-label="Log lines">
        {lines.map(({ at, level, message, fields }, index) => (
          // They have no name of their own, and never move.
          <li key={index} className={`logLine is-${level}`}>
            <Moment at={at} isInControl>
              {formatMillis(at)}
            </Moment>
            <span className="logLevel">{level}</span>
            <span className="isWrapped">
              {message} {fields !== null && <span className="muted">{fields}</span>}
            </span>
          </li>
        ))}
      </ol>
    </>
  )
}
