import { formatNumber, table } from '../markdown.ts'
import { defineScenario, type Plot, type Target } from '../scenario.ts'
import { ratios, summarise } from '../statistics.ts'
import { measureThroughput, type EngineName, type ThroughputFigures } from './measureThroughput.ts'

const LABELS: Record<EngineName, string> = {
  roundsman: 'Roundsman, every run recorded',
  sqlAlone: 'its statements by bare pg, no handlers',
  pgBoss: 'pg-boss `work()`, nothing recorded',
  bullMq: 'BullMQ on Redis, nothing recorded',
  graphileWorker: 'graphile-worker, one INSERT a job',
}

const INSTALL_REDIS =
  'no redis-server or valkey-server in PATH; on Debian: `apt-get install redis-server`'

export const throughput = defineScenario<ThroughputFigures>({
  name: 'throughput',
  title: 'Throughput',
  rounds: 5,
  measure: measureThroughput,
  targets: (figures) => [
    against(figures, 'pgBoss', 'pg-boss `work()` without audit', 1.25),
    against(figures, 'bullMq', 'BullMQ without audit', 2),
    against(figures, 'graphileWorker', 'graphile-worker with one INSERT a job', 2.5),
    ...(measured(figures).includes('sqlAlone')
      ? [against(figures, 'sqlAlone', 'SQL alone: the same statements without handlers', 0.8)]
      : []),
    ...bytesOf(figures),
  ],
  render(figures) {
    const rows = measured(figures).map((engine) => {
      const { median, min, max } = summarise(figures.perSecond[engine])
      const first = summarise(figures.firstMs[engine])
      return [
        LABELS[engine],
        formatNumber(median),
        `${formatNumber(min)} to ${formatNumber(max)}`,
        `${formatNumber(first.median)} ms`,
        busyOf(figures, engine) ?? '',
        `\`${JSON.stringify(figures.settings[engine])}\``,
      ]
    })
    const trials = figures.trials.map(({ engine, settings, perSecond }) => [
      engine,
      `\`${settings}\``,
      formatNumber(perSecond),
    ])
    return `${formatNumber(figures.jobs)} no-op jobs wait in the queue, put there by each engine's own way for many at once. The clock runs
from the start of the engine in a fresh process until the last job is settled in its store: Roundsman commits that
a job starts before its handler, and a JobRun once it has ended. A fresh database for every round, vacuumed,
analysed and written out before the start, for all alike. The settings of each are the fastest of those tried. SQL alone
is what PostgreSQL itself allows: the statements that the worker sends, recorded from one and sent by bare connections.
${figures.redis === null ? `\nBullMQ was not run: ${INSTALL_REDIS}.\n` : `\nRedis ${figures.redis} with its default persistence.\n`}
${table(['', 'jobs/s', 'all rounds', 'first handler after', 'its thread is busy', 'settings'], rows)}

${forATeam(figures)}

${table(['tried', 'settings', 'jobs/s'], trials)}`
  },
  plots: (figures) => [
    {
      name: 'jobs',
      title: 'No-op jobs per second',
      unit: 'jobs/s',
      bars: measured(figures).map((engine) => {
        const { median, ...spread } = summarise(figures.perSecond[engine])
        return {
          label: LABELS[engine].replaceAll('`', ''),
          value: median,
          spread,
          isOurs: engine === 'roundsman',
        }
      }),
    },
    ...plotBytes(figures),
  ],
})

function measured({ perSecond }: Partial<ThroughputFigures>): EngineName[] {
  return (['roundsman', 'sqlAlone', 'pgBoss', 'bullMq', 'graphileWorker'] as const).filter(
    (engine) => (perSecond?.[engine] ?? []).length > 0,
  )
}

/** What an engine's thread is busy for; null where it was not measured. */
function busyOf({ busy, perSecond }: ThroughputFigures, engine: EngineName): string | null {
  if (busy === undefined || busy[engine].length === 0) return null
  const percent = summarise(busy[engine]).median * 100
  const seconds = summarise(
    busy[engine].map((part, round) => part / (perSecond[engine][round] ?? NaN)),
  ).median
  return `${formatNumber(percent)} %, ${formatNumber(seconds * 1_000_000)} µs a job`
}

const RUNS_A_DAY = 1_000_000
const DAYS_KEPT = 30

function forATeam(figures: ThroughputFigures): string {
  const { perSecond, bytes } = figures
  const share = formatNumber((100 / summarise(perSecond.roundsman).median) * 100)
  let speed = `For a team with 100 jobs a second: what the engine does for them is ${share} % of what one worker process can do, so it is
their handlers that decide how many workers are needed.`
  if (measured(figures).includes('sqlAlone')) {
    const reached = summarise(ratios(perSecond.roundsman, perSecond.sqlAlone)).median
    speed += ` Where it is not: one process reaches ${formatNumber(reached)} of what this PostgreSQL
allows, so more of them, on further processors, bring ${formatNumber(1 / reached)} times as much at most.`
  }
  if (bytes === undefined) return speed
  const gb = (each: readonly number[], days: number) =>
    formatNumber((summarise(each).median * RUNS_A_DAY * days) / 1e9)
  return `${speed} With ${formatNumber(RUNS_A_DAY)} runs a day PostgreSQL writes ${gb(bytes.log, 1)} GB of log for
them, to the disk and to each standby, and keeps ${gb(bytes.table, DAYS_KEPT)} GB of runs of ${DAYS_KEPT} days.`
}

function plotBytes({ bytes }: ThroughputFigures): Plot[] {
  if (bytes === undefined) return []
  const bar = (what: string, each: readonly number[], before: number) => {
    const { median, ...spread } = summarise(each)
    return [
      { label: `${what}, written once`, value: median, spread, isOurs: true },
      { label: `${what}, written twice`, value: before },
    ]
  }
  return [
    {
      name: 'bytes',
      title: 'Bytes that a run costs',
      unit: 'bytes',
      bars: [
        ...bar("PostgreSQL's log", bytes.log, WRITTEN_TWICE.log),
        ...bar('JobRun and its indexes', bytes.table, WRITTEN_TWICE.table),
      ],
    },
  ]
}

/** What a run cost when each was written at its start and again at its end (ADR 20): the figures to beat. */
const WRITTEN_TWICE = { log: 1_675, table: 522 }

function bytesOf({ bytes, parts = [] }: ThroughputFigures): Target[] {
  if (bytes === undefined) return []
  const kinds = [
    ['log', "bytes of PostgreSQL's log a run"],
    ['table', 'bytes of JobRun and its indexes a run'],
  ] as const
  return kinds.map(([kind, what]) => {
    const { median, ...spread } = summarise(bytes[kind].map((each) => each / WRITTEN_TWICE[kind]))
    return {
      what: `${what}, to ${formatNumber(WRITTEN_TWICE[kind])}`,
      atMost: 0.6,
      unit: '×',
      measured: median,
      spread,
      ...(kind === 'table' && parts.length > 0 && { obstacle: tellParts(parts) }),
    }
  })
}

/** Below it, a part takes up no more than its first page does. */
const LEAST_BYTES = 1

function tellParts(parts: NonNullable<ThroughputFigures['parts']>): string {
  const told = parts
    .filter(({ bytes }) => bytes >= LEAST_BYTES)
    .map(({ name, bytes }) =>
      name === 'JobRun'
        ? `the row is ${formatNumber(bytes)} bytes`
        : `\`${name}\` ${formatNumber(bytes)}`,
    )
  return `what each part takes up: ${told.join(', ')}`
}

function against(
  figures: ThroughputFigures,
  engine: EngineName,
  what: string,
  atLeast: number,
): Target {
  const { perSecond } = figures
  const [ours, theirs] = [busyOf(figures, 'roundsman'), busyOf(figures, engine)]
  const target = {
    what: `jobs/s to ${what}`,
    atLeast,
    unit: '×',
    ...(ours &&
      theirs && {
        obstacle: `the worker's one thread is busy for ${ours}, with a handler, a signal, a time-out and an end for each; there it is ${theirs}`,
      }),
  }
  if (perSecond[engine].length === 0) return { ...target, measured: null, note: INSTALL_REDIS }
  const { median, ...spread } = summarise(ratios(perSecond.roundsman, perSecond[engine]))
  return { ...target, measured: median, spread }
}
