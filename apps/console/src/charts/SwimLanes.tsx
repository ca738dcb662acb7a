import type { ConsoleWorkerRun } from '@roundsman/admin/contract'
import { useId } from 'react'
import { OUTCOME_WORDS, type RunOutcome } from '../api/runOutcome.ts'
import { JobLink } from '../parts/JobLink.tsx'
import { useRoving } from '../parts/useRoving.ts'
import { formatDuration } from '../time/formatDuration.ts'
import { formatExact } from '../time/formatExact.ts'
import { AcrossLabels } from './AcrossLabels.tsx'
import { HatchPattern, type BarKind } from './BarChart.tsx'
import { RunLink } from './RunLink.tsx'
import { percent, timeScale } from './scales.ts'
import { mostAtOnce, swimLanes } from './swimLanes.ts'

export interface SwimLanesProps {
  /** The runs, oldest first. */
  runs: readonly ConsoleWorkerRun[]
  fromMs: number
  toMs: number
}

const TIME_LABELS = 5
const AXIS = 20
const GAP = 2
/** A run of a millisecond has to be visible. */
const MIN_WIDTH = 3

/** What a worker has run: a group of lanes for each job, as many lanes as it had runs at once. */
export function SwimLanes({ runs, fromMs, toMs }: SwimLanesProps) {
  const hatch = useId()
  const jobs = swimLanes(runs, toMs)
  const order = new Map(runs.map(({ id }, index) => [id, index]))
  const roving = useRoving(runs.length, runs.length - 1)
  const x = timeScale(fromMs, toMs, TIME_LABELS)
  const all = jobs.reduce((sum, { lanes }) => sum + lanes, 0)
  const laneHeight = all > 40 ? 6 : all > 16 ? 9 : 13
  return (
    <div
      className="lanes"
      role="group"
      aria-label={summarise(runs, jobs.length, toMs)}
      {...roving.container}
    >
      <svg width="0" height="0" aria-hidden="true" className="laneDefs">
        <HatchPattern id={hatch} />
      </svg>
      {jobs.map(({ name, runs: its, lanes }) => (
        <div key={name} className="laneJob">
          <div className="laneName">
            <JobLink name={name} className="quietLink isCut" />{' '}
            {lanes > 1 && <span className="muted small isUnbroken">× {lanes}</span>}
          </div>
          <svg width="100%" height={lanes * (laneHeight + GAP) + GAP} className="laneArea">
            {x.ticks.map(({ at }) => (
              <line
                key={at}
                x1={percent(at)}
                x2={percent(at)}
                y1="0"
                y2="100%"
                className="gridLine"
              />
            ))}
            {its.map(({ run, fromMs: from, toMs: to, lane }) => {
              const tip = describe(run, to - from)
              const kind = kindOf(run.outcome)
              const shape = {
                x: percent(x.place(from)),
                y: GAP + lane * (laneHeight + GAP),
                height: laneHeight,
                className: `bar is-${kind}`,
                ...(kind === 'failed' && { fill: `url(#${hatch})` }),
              }
              return (
                <RunLink
                  key={run.id}
                  runId={run.id}
                  className="laneRun"
                  tip={tip}
                  place={roving.item(order.get(run.id) ?? 0)}
                >
                  <rect {...shape} width={MIN_WIDTH} />
                  <rect {...shape} width={percent(x.place(to) - x.place(from))} />
                </RunLink>
              )
            })}
          </svg>
        </div>
      ))}
      <div className="laneJob" aria-hidden="true">
        <span />
        <svg width="100%" height={AXIS} className="laneArea">
          <line x1="0" x2="100%" y1="0.5" y2="0.5" className="axisLine" />
          <AcrossLabels labels={x.ticks} y={AXIS - 5} />
        </svg>
      </div>
      <Legend kinds={new Set(runs.map((run) => kindOf(run.outcome)))} hatch={hatch} />
    </div>
  )
}

const KIND_WORDS = [
  { kind: 'success', label: 'Success' },
  { kind: 'failed', label: 'Failed' },
  { kind: 'stopped', label: 'Cancelled, blocked or expired' },
  { kind: 'running', label: 'Running' },
] as const satisfies { kind: BarKind; label: string }[]

function Legend({ kinds, hatch }: { kinds: ReadonlySet<BarKind>; hatch: string }) {
  return (
    <ul className="legend" aria-label="What the bars mean">
      {KIND_WORDS.filter(({ kind }) => kinds.has(kind)).map(({ kind, label }) => (
        <li key={kind}>
          <svg width="18" height="10" aria-hidden="true">
            <rect
              x="0.5"
              y="0.5"
              width="17"
              height="9"
              className={`bar is-${kind}`}
              {...(kind === 'failed' && { fill: `url(#${hatch})` })}
            />
          </svg>
          {label}
        </li>
      ))}
    </ul>
  )
}

/** The kind of bar that shows an outcome. */
function kindOf(outcome: RunOutcome): BarKind {
  switch (outcome) {
    case 'success':
    case 'failed':
    case 'running':
      return outcome
    case 'lost':
      return 'failed'
    case 'cancelled':
    case 'blocked':
    case 'expired':
    case 'givenBack':
      return 'stopped'
    default:
      return outcome satisfies never
  }
}

function describe(run: ConsoleWorkerRun, durationMs: number): string {
  const { outcome } = run
  const word = OUTCOME_WORDS[outcome]
  const code = outcome === 'failed' && run.errorCode !== null ? ` with ${run.errorCode}` : ''
  const how = outcome === 'running' ? `${word} for` : `${word}${code} after`
  const { local, utc } = formatExact(run.startedAt)
  const about = run.label === null ? '' : ` ${run.label}`
  return `${run.name}${about}: ${how} ${formatDuration(durationMs)}\n${local}\n${utc}`
}

function summarise(runs: readonly ConsoleWorkerRun[], jobs: number, nowMs: number): string {
  const many = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`
  const failed = runs.filter((run) => kindOf(run.outcome) === 'failed').length
  return `${many(runs.length, 'run')} of ${many(jobs, 'job')}, ${failed} failed, at most ${mostAtOnce(runs, nowMs)} at once`
}
