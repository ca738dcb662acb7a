import type { ConsoleJob } from '@roundsman/fastify/contract'
import { Link } from '@tanstack/react-router'
import { useId } from 'react'
import { RunStrip } from '../../charts/RunStrip.tsx'
import { Sparkline } from '../../charts/Sparkline.tsx'
import { TickStrip } from '../../charts/TickStrip.tsx'
import { Count } from '../../parts/Count.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { JobActions } from './JobActions.tsx'
import { NextTick } from './NextTick.tsx'

export function JobCard({ job }: { job: ConsoleJob }) {
  const id = useId()
  const { name, schedule, lastRun, recentRuns, ticks } = job
  const cleaned = recentRuns.filter((run) => run.cleaned !== null)
  return (
    <article className="panel jobCard" aria-labelledby={id}>
      <div className="jobWhat">
        <h2 id={id}>
          <Link to="/jobs/$name" params={{ name }}>
            {name}
          </Link>
        </h2>
        <p className="muted small">{job.description}</p>
        {schedule ? (
          <p className="small">
            {schedule.words} <code>{schedule.cron}</code>{' '}
            <span className="muted">{schedule.timeZone}</span>
          </p>
        ) : (
          <p className="small">On request only</p>
        )}
      </div>
      <div className="jobPast">
        <p className="small lineItem">
          <span className="muted">Last {schedule ? '60 ticks' : '60 runs'}</span>
          <span>
            {lastRun === null ? (
              <span className="muted">never run</span>
            ) : (
              <Link to="/runs/$id" params={{ id: lastRun.id }} className="quietLink">
                <StatusMark status={lastRun.status} />{' '}
                {lastRun.endedAt === null ? (
                  <>
                    for <Elapsed since={lastRun.startedAt} />
                  </>
                ) : (
                  <Moment at={lastRun.endedAt} isInControl />
                )}
              </Link>
            )}
          </span>
        </p>
        {schedule ? (
          <TickStrip name={name} ticks={ticks} />
        ) : (
          <RunStrip name={name} runs={recentRuns} />
        )}
      </div>
      <div className="jobTrend">
        <Sparkline
          name={name}
          points={recentRuns.map(({ durationMs, status }) => ({
            durationMs,
            isFailed: status === 'failed',
          }))}
        />
        {cleaned.length > 0 && (
          <p className="small">
            <Count value={cleaned.at(-1)?.cleaned ?? 0} /> rows cleaned last,{' '}
            <Count value={cleaned.reduce((sum, run) => sum + (run.cleaned ?? 0), 0)} />{' '}
            <span className="muted">in {cleaned.length} runs</span>
          </p>
        )}
      </div>
      <NextTick job={job} />
      <JobActions job={job} />
    </article>
  )
}
