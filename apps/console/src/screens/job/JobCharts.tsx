import type { ConsoleJobDetail } from '@roundsman/admin/contract'
import { useState } from 'react'
import { inWords } from '../../api/readRunDetails.ts'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import { describeEnded, runBars, seenKinds } from '../../charts/runBars.ts'
import { Panel } from '../../parts/Panel.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatClock, formatExact, formatShort } from '../../time/formatExact.ts'

const DAY_MS = 86_400_000

/** What a job's runs came to, how long they took and what they counted. Panels without anything to see are left out. */
export function JobCharts({ name, detail }: { name: string; detail: ConsoleJobDetail }) {
  const { clock } = useServices()
  const { counted } = detail
  const now = clock.now()
  return (
    <>
      <RunsPanel name={name} detail={detail} now={now} />
      {counted.length > 0 && (
        <CountsPanel name={name} counted={counted} looked={detail.job.recentRuns.length} />
      )}
    </>
  )
}

/** Writes when such a day begins on the viewer's clock, as all other times are. */
function inUtc(now: number): string {
  const begins = formatClock(new Date(Math.floor(now / DAY_MS) * DAY_MS).toISOString())
  return begins === '00:00' ? 'in UTC' : `in UTC, from ${begins} on your clock`
}

interface PanelProps {
  name: string
  detail: ConsoleJobDetail
  now: number
}

/** A single bar is no chart, and a single run no statistic. */
const MIN_BARS = 2
const MIN_RUNS = 2
/** Maximum of runs whose durations are measured. */
const MEASURED_RUNS = 1_000

function RunsPanel({ name, detail, now }: PanelProps) {
  const { unit, bars, counts, filled, isCut, placeOf } = runBars(detail, now)
  const versions = detail.versions.map((one) => ({ ...one, place: placeOf(one.at) }))
  // A single run shows in the strip.
  if (counts.success + counts.failed + counts.stopped < MIN_RUNS) return null
  const text = describeEnded(counts, isCut)
  const span = bars.length === 1 ? `one ${unit}` : `${bars.length} ${unit}s`
  return (
    <Panel
      title={`Runs by ${unit}`}
      aside={
        filled < MIN_BARS ? undefined : (
          <span className="muted">{unit === 'day' ? `${span} ${inUtc(now)}` : span}</span>
        )
      }
    >
      <p className={filled < MIN_BARS ? undefined : 'chartLead'}>
        {text}
        {filled < MIN_BARS && `, all within one ${unit}`}
      </p>
      <Durations duration={detail.duration} />
      {filled >= MIN_BARS && (
        <BarChart
          summary={`Runs of ${name} by ${unit}: ${text} in ${span}`}
          bars={bars}
          kinds={seenKinds([counts])}
          versions={versions.filter(({ place }) => place >= 0)}
        />
      )}
    </Panel>
  )
}

/** Says `half took up to 2.8 s, 95 % up to 4.5 s of 703 runs`. */
function Durations({ duration: { p50Ms, p95Ms, runs } }: Pick<ConsoleJobDetail, 'duration'>) {
  if (p50Ms === null || p95Ms === null || runs < MIN_RUNS) return null
  return (
    <p className="muted chartLead">
      Half took up to <strong>{formatDuration(p50Ms)}</strong>, 95 % up to{' '}
      <strong>{formatDuration(p95Ms)}</strong>, of {runs >= MEASURED_RUNS && 'the last '}
      {runs.toLocaleString('en')} runs
    </p>
  )
}

const KINDS = [
  { kind: 'plain', label: 'Success' },
  { kind: 'failed', label: 'Failed' },
] as const

interface CountsPanelProps {
  name: string
  counted: ConsoleJobDetail['counted']
  /** Among how many runs, the latest, those that counted something were looked for. */
  looked: number
}

function CountsPanel({ name, counted, looked }: CountsPanelProps) {
  const [wanted, setWanted] = useState<string | null>(null)
  const counters = listCounters(counted)
  const counter = counters.find((candidate) => candidate === wanted) ?? counters[0] ?? ''
  const runs = counted.flatMap((run) => {
    // A count may have any name, also one that all objects have.
    const value = Object.hasOwn(run.counts, counter) ? run.counts[counter] : undefined
    return value === undefined ? [] : [{ ...run, value }]
  })
  const [first] = runs
  const last = runs.at(-1)
  if (!first || !last) return null
  const total = runs.reduce((sum, { value }) => sum + value, 0)
  const count = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 2 })
  const which = ofLatest(runs.length, looked)
  const isAlways = runs.length > 1 && runs.every(({ value }) => value === last.value)
  const bars = runs.map((run): Bar => {
    const { local } = formatExact(run.startedAt)
    const isFailed = run.status === 'failed'
    return {
      key: run.id,
      label: null,
      name: local,
      tip: `${count(run.value)} ${inWords(counter).toLowerCase()}${isFailed ? ', then failed' : ''}\n${local}`,
      parts: KINDS.map(({ kind }) => ({
        kind,
        value: isFailed === (kind === 'failed') ? Math.max(run.value, 0) : 0,
      })),
    }
  })
  const kinds = KINDS.filter(({ kind }) =>
    bars.some(({ parts }) => parts.some((part) => part.kind === kind && part.value > 0)),
  )
  return (
    <Panel
      title="Counts by run"
      aside={
        counters.length > 1 ? (
          <label className="inlineField">
            <span className="muted">Counter</span>
            <select value={counter} onChange={({ target }) => setWanted(target.value)}>
              {counters.map((candidate) => (
                <option key={candidate} value={candidate}>
                  {inWords(candidate)}
                </option>
              ))}
            </select>
          </label>
        ) : undefined
      }
    >
      {isAlways ? (
        <p>
          <strong>{count(last.value)}</strong> {inWords(counter).toLowerCase()} by each of {which}
        </p>
      ) : (
        <p className={runs.length === 1 ? undefined : 'chartLead'}>
          <strong>{count(last.value)}</strong> {inWords(counter).toLowerCase()} by the last run
          {runs.length > 1 && (
            <>
              , {count(total)} <span className="muted">by {which}</span>
            </>
          )}
        </p>
      )}
      {runs.length > 1 && !isAlways && (
        <BarChart
          summary={`${inWords(counter)} by ${which} of ${name}: ${count(total)} in all`}
          bars={bars}
          ends={nameEnds(first.startedAt, last.startedAt)}
          kinds={kinds}
        />
      )}
    </Panel>
  )
}

/** Says `the last 36 runs`, or `36 of the last 60 runs` when others among them counted nothing of it. */
export function ofLatest(counted: number, looked: number): string {
  return counted >= looked ? `the last ${counted} runs` : `${counted} of the last ${looked} runs`
}

/** The names of the runs' counts, those of most runs first; the number of batches, which tells least, comes last. */
export function listCounters(
  counted: readonly Pick<ConsoleJobDetail['counted'][number], 'counts'>[],
): string[] {
  const runs = new Map<string, number>()
  for (const { counts } of counted) {
    for (const name of Object.keys(counts)) runs.set(name, (runs.get(name) ?? 0) + 1)
  }
  const rank = (name: string) => (name === 'batches' ? 0 : (runs.get(name) ?? 0))
  return [...runs.keys()].toSorted(
    (one, other) => rank(other) - rank(one) || one.localeCompare(other),
  )
}

/** Names two instants as precisely as it takes to tell them apart. */
export function nameEnds(first: string, last: string, timeZone?: string): [string, string] {
  const short = [formatShort(first, timeZone), formatShort(last, timeZone)] as const
  if (short[0] !== short[1]) return [...short]
  return [formatExact(first, timeZone).local, formatExact(last, timeZone).local]
}
