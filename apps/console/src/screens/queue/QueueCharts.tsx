import type { ConsoleQueue } from '@roundsman/admin/contract'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import {
  describeEnded,
  ENDED_KINDS,
  seenKinds,
  sumEnded,
  type EndedCounts,
} from '../../charts/runBars.ts'
import { countScale, durationScale, percent, timeScale, type Scale } from '../../charts/scales.ts'
import { PlotLine, TimePlot } from '../../charts/TimePlot.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatClock, formatSeconds } from '../../time/formatExact.ts'

/** The queue over the last hour: how work ended, how much waited, and for how long. */
export function QueueCharts({ queue }: { queue: ConsoleQueue }) {
  const { throughput, history } = queue
  return (
    <div className="chartPair">
      <Panel title="Ended by minute" aside={<span className="muted">last hour</span>}>
        <Throughput throughput={throughput} />
      </Panel>
      <Panel title="Backlog" aside={<span className="muted">{nameSpan(history)}</span>}>
        <Waiting history={history} />
      </Panel>
    </div>
  )
}

const LABELS = 6
const MINUTE_MS = 60_000

function Throughput({ throughput }: Pick<ConsoleQueue, 'throughput'>) {
  const total: EndedCounts = sumEnded(throughput)
  const text = describeEnded(total)
  if (total.success + total.failed + total.stopped === 0)
    return <p className="muted">None has ended.</p>
  const starts = throughput.map(({ from }) => Date.parse(from))
  const { place, ticks } = timeScale(starts[0] ?? 0, (starts.at(-1) ?? 0) + MINUTE_MS, LABELS)
  const bars = throughput.map((minute, index): Bar => {
    const at = formatClock(minute.from)
    const from = place(starts[index] ?? 0)
    const isLabelled = ticks.some((tick) => Math.abs(tick.at - from) < 1e-6)
    return {
      key: minute.from,
      label: isLabelled ? at : null,
      name: at,
      tip: `${at}\n${describeEnded(minute)}`,
      parts: ENDED_KINDS.map(({ kind }) => ({ kind, value: minute[kind] })),
    }
  })
  return (
    <>
      <p className="chartLead">{text}</p>
      <BarChart
        summary={`Runs by minute: ${text} in the last hour`}
        bars={bars}
        kinds={seenKinds([total])}
      />
    </>
  )
}

type Moment = ConsoleQueue['history'][number]

const PLOT_HEIGHT = 96
const TIME_LABELS = 4
/** Measurements further apart are not joined: nobody knows what lay between. */
const GAP_MS = 90_000
const MIN_SPAN_MS = 60_000
/** A measurement now and then sees work wait that is taken at once. */
const TRIFLE_MS = 1_000

function Waiting({ history }: Pick<ConsoleQueue, 'history'>) {
  const last = history.at(-1)
  const most = Math.max(0, ...history.map(({ ready }) => ready))
  const longest = Math.max(0, ...history.map(({ oldestMs }) => oldestMs))
  if (!last || longest < TRIFLE_MS) {
    return <p className="muted">Nothing has waited longer than a second.</p>
  }
  const toMs = Date.parse(last.at)
  const fromMs = Math.min(toMs - MIN_SPAN_MS, Date.parse(history[0]?.at ?? last.at))
  const x = timeScale(fromMs, toMs, TIME_LABELS)
  const count = (value: number) => value.toLocaleString('en')
  const ready =
    last.ready === most
      ? `${count(most)} ready to start now, the peak`
      : `${count(last.ready)} ready to start now, peak ${count(most)}`
  const waited =
    last.oldestMs === 0
      ? `Nothing waits now, peak ${formatDuration(longest)}`
      : last.oldestMs === longest
        ? `The oldest has waited ${formatDuration(longest)}, the peak`
        : `The oldest has waited ${formatDuration(last.oldestMs)}, peak ${formatDuration(longest)}`
  return (
    <>
      <p className="chartLead">{ready}</p>
      <Line
        summary={`Work that was ready to start, over time: ${ready}`}
        history={history}
        x={x}
        y={countScale([most])}
        read={(moment) => moment.ready}
        isArea
      />
      <p className="chartLead chartNote">{waited}</p>
      <Line
        summary={`How long the oldest had waited, over time: ${waited}`}
        history={history}
        x={x}
        y={durationScale([longest])}
        read={(moment) => moment.oldestMs}
      />
    </>
  )
}

interface LineProps {
  summary: string
  history: readonly Moment[]
  x: Scale
  y: Scale
  read: (moment: Moment) => number
  isArea?: boolean
}

/** A line over the measurements, interrupted where they lie too far apart. */
function Line({ summary, history, x, y, read, isArea = false }: LineProps) {
  const places = history.map((moment) => x.place(Date.parse(moment.at)))
  return (
    <figure className="chart">
      <TimePlot summary={summary} x={x} y={y} height={PLOT_HEIGHT}>
        <PlotLine
          className={isArea ? 'chartLine' : 'chartLine isDashed'}
          height={PLOT_HEIGHT}
          isArea={isArea}
          points={history.flatMap((moment, index) => {
            const before = history[index - 1]
            const isGap =
              before !== undefined && Date.parse(moment.at) - Date.parse(before.at) > GAP_MS
            const point = { x: places[index] ?? 0, y: y.place(read(moment)) }
            return isGap ? [null, point] : [point]
          })}
        />
        {history.map(({ at, ready, oldestMs }, index) => {
          const from = ((places[index - 1] ?? 0) + (places[index] ?? 0)) / 2
          const to = ((places[index] ?? 1) + (places[index + 1] ?? 1)) / 2
          return (
            <rect
              key={at}
              x={percent(from)}
              width={percent(Math.max(0, to - from))}
              y="0"
              height={PLOT_HEIGHT}
              className="barTarget"
              data-tip={`${formatSeconds(at)}\n${ready.toLocaleString('en')} ready to start\nthe oldest had waited ${formatDuration(oldestMs)}`}
            />
          )
        })}
      </TimePlot>
    </figure>
  )
}

/** Names the span that the server has measured, which may be shorter than an hour. */
function nameSpan(history: readonly Moment[]): string {
  const [first] = history
  const last = history.at(-1)
  if (!first || !last) return ''
  const isHour = Date.parse(last.at) - Date.parse(first.at) > 58 * 60_000
  return isHour ? 'last hour' : `watched since ${formatClock(first.at)}, when this server started`
}
