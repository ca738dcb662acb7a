import { formatNumber, table } from '../markdown.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { ratios, summarise } from '../statistics.ts'
import { measureThroughput, type EngineName, type ThroughputFigures } from './measureThroughput.ts'

const LABELS: Record<EngineName, string> = {
  roundsman: 'Roundsman, every run recorded',
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
    {
      ...against(figures, 'pgBoss', 'pg-boss `work()` without audit', 1.25),
      obstacle:
        "the worker's one thread: each run has a handler, a time-out, a signal and an end of its own, where pg-boss calls one handler for thousands (ADR 20)",
    },
    {
      ...against(figures, 'bullMq', 'BullMQ without audit', 2),
      obstacle:
        'Redis keeps what it is told in memory and writes it out later; here a run is on disk before its handler starts',
    },
    against(figures, 'graphileWorker', 'graphile-worker with one INSERT a job', 2.5),
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
analysed and written out before the start, for all alike. The settings of the others are the fastest of those tried.
${figures.redis === null ? `\nBullMQ was not run: ${INSTALL_REDIS}.\n` : `\nRedis ${figures.redis} with its default persistence.\n`}
${table(['', 'jobs/s', 'all rounds', 'first handler after', 'settings'], rows)}

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
  ],
})

function measured({ perSecond }: ThroughputFigures): EngineName[] {
  return (['roundsman', 'pgBoss', 'bullMq', 'graphileWorker'] as const).filter(
    (engine) => perSecond[engine].length > 0,
  )
}

/** What a run cost when each was written at its start and again at its end (ADR 20): the figures to beat. */
const WRITTEN_TWICE = { log: 1_675, table: 522 }

function bytesOf({ bytes }: ThroughputFigures): Target[] {
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
    }
  })
}

function against(
  { perSecond }: ThroughputFigures,
  engine: EngineName,
  what: string,
  atLeast: number,
): Target {
  const target = { what: `jobs/s to ${what}`, atLeast, unit: '×' }
  if (perSecond[engine].length === 0) return { ...target, measured: null, note: INSTALL_REDIS }
  const { median, ...spread } = summarise(ratios(perSecond.roundsman, perSecond[engine]))
  return { ...target, measured: median, spread }
}
