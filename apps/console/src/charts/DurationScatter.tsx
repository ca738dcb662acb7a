import type { ConsoleJobDetail, ConsoleRunPoint } from '@roundsman/admin/contract'
import { OUTCOME_WORDS, type RunOutcome } from '../api/runOutcome.ts'
import { useRoving } from '../parts/useRoving.ts'
import { formatDuration } from '../time/formatDuration.ts'
import { formatExact } from '../time/formatExact.ts'
import { RunLink } from './RunLink.tsx'
import { durationScale, percent, timeScale } from './scales.ts'
import { VersionKeys, VersionLine } from './VersionMarks.tsx'
import { plotY, TimePlot } from './TimePlot.tsx'

const TIME_LABELS = 5
const MIN_SPAN_MS = 60_000

export interface DurationScatterProps {
  name: string
  runs: readonly ConsoleRunPoint[]
  /** The percentiles of the last 1,000 runs. */
  overall: ConsoleJobDetail['duration']
  /** Where the version changed. */
  versions: ConsoleJobDetail['versions']
  now: number
}

/**
 * How long runs took. Each is a mark that leads to it; lines show what half of them (p50) and all but one in twenty
 * (p95) stay below.
 */
export function DurationScatter(props: DurationScatterProps) {
  const { name, runs, overall, versions, now } = props
  const roving = useRoving(runs.length, runs.length - 1)
  const starts = runs.map(({ startedAt }) => Date.parse(startedAt))
  const toMs = Math.max(now, ...starts)
  const fromMs = Math.min(toMs - MIN_SPAN_MS, ...starts)
  const x = timeScale(fromMs, toMs, TIME_LABELS)
  const changes = versions.filter(({ at }) => Date.parse(at) >= fromMs)
  const lines = LINES.flatMap((line) => {
    const ms = overall[line.key]
    return ms === null ? [] : [{ ...line, ms }]
  })
  const y = durationScale([
    ...runs.map(({ durationMs }) => durationMs),
    ...lines.map(({ ms }) => ms),
  ])
  const outcomes = new Set(runs.map(({ outcome }) => outcome))
  return (
    <figure className="chart" {...roving.container}>
      <TimePlot summary={summarise(name, runs, overall)} x={x} y={y}>
        {changes.map(({ at, version }) => (
          <VersionLine
            key={at}
            version={version}
            x={percent(x.place(Date.parse(at)))}
            y1={plotY(1)}
            y2={plotY(0)}
          />
        ))}
        {lines.map(({ key, className, ms }) => (
          <line
            key={key}
            x1="0"
            x2="100%"
            y1={plotY(y.place(ms))}
            y2={plotY(y.place(ms))}
            className={className}
          />
        ))}
        {runs.map((run, index) => {
          const tip = describe(run)
          return (
            <RunLink
              key={run.id}
              runId={run.id}
              className="pointLink"
              tip={tip}
              place={roving.item(index)}
            >
              <svg
                x={percent(x.place(Date.parse(run.startedAt)))}
                y={plotY(y.place(run.durationMs))}
                className="pointPlace"
              >
                <circle r="8" className="pointTarget" />
                <OutcomePoint outcome={run.outcome} />
              </svg>
            </RunLink>
          )
        })}
      </TimePlot>
      <ul className="legend" aria-label="What the marks and lines mean">
        <OutcomeKeys outcomes={outcomes} />
        <VersionKeys versions={changes} />
        {lines.map(({ key, label, className }) => (
          <li key={key}>
            <svg width="20" height="8" aria-hidden="true">
              <line x1="0" x2="20" y1="4" y2="4" className={className} />
            </svg>
            {label}
          </li>
        ))}
      </ul>
    </figure>
  )
}

const LINES = [
  { label: 'half are below', key: 'p50Ms', className: 'chartLine' },
  { label: '95 % are below', key: 'p95Ms', className: 'chartLine isDashed' },
] as const

function describe(run: ConsoleRunPoint): string {
  const { local, utc } = formatExact(run.startedAt)
  const { outcome } = run
  const code = outcome === 'failed' && run.errorCode !== null ? ` with ${run.errorCode}` : ''
  const about = run.label === null ? '' : `${run.label}\n`
  return `${about}${OUTCOME_WORDS[outcome]}${code} after ${formatDuration(run.durationMs)}\n${local}\n${utc}`
}

/** The chart in a sentence, for screen readers. */
function summarise(
  name: string,
  runs: readonly ConsoleRunPoint[],
  { p50Ms, p95Ms }: ConsoleJobDetail['duration'],
): string {
  const counts = Map.groupBy(runs, ({ outcome }) => outcome)
  const outcomes = [...counts].map(
    ([outcome, { length }]) => `${length} ${OUTCOME_WORDS[outcome].toLowerCase()}`,
  )
  const usual =
    p50Ms === null || p95Ms === null
      ? ''
      : `; half took up to ${formatDuration(p50Ms)}, nearly all up to ${formatDuration(p95Ms)}`
  return `Durations of ${runs.length} runs of ${name}: ${outcomes.join(', ')}${usual}`
}

/** Each outcome has its own shape, told without its colour: centred on 0, some 8 px wide. */
const SHAPES: Record<RunOutcome, string> = {
  success: 'M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z',
  failed: 'M-3.5-3.5l7 7m0-7l-7 7',
  lost: 'M0-4.5l4.5 8h-9z',
  expired: 'M0-4.5l4.5 4.5-4.5 4.5-4.5-4.5z',
  blocked: 'M-2.5-4v8m5-8v8',
  cancelled: 'M-4.5 0h9',
  suspended: 'M-3-4h6l-6 8h6z',
  givenBack: 'M3-3.5l-6 3.5 6 3.5',
  running: 'M-3-4l6 4-6 4z',
}

function OutcomePoint({ outcome }: { outcome: RunOutcome }) {
  return <path d={SHAPES[outcome]} className={`point is-${outcome}`} />
}

/** The legend of the shapes that appear in a chart. */
function OutcomeKeys({ outcomes }: { outcomes: ReadonlySet<RunOutcome> }) {
  return (Object.keys(SHAPES) as RunOutcome[])
    .filter((outcome) => outcomes.has(outcome))
    .map((outcome) => (
      <li key={outcome}>
        <svg viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true">
          <OutcomePoint outcome={outcome} />
        </svg>
        {OUTCOME_WORDS[outcome]}
      </li>
    ))
}
