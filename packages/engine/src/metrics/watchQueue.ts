import { checkQueueWatch } from '../arguments/watches.ts'
import type { QueueStats } from '../read/getQueueStats.ts'
import { keepFresh, type FreshnessOptions } from './keepFresh.ts'
import { watchGauge } from './prometheus.ts'

export interface QueueWatchOptions extends FreshnessOptions {
  /** Two bounded statements: `() => getQueueStats(reader, names)`. */
  measure: () => Promise<readonly QueueStats[]>
}

/**
 * Registers metrics of the work in the queue. They are about the whole database, so every process reports the same numbers.
 * While the database does not answer they have no values, which is not zero; the rest of the scrape is complete.
 */
export function watchQueue(options: QueueWatchOptions): void {
  const checked = checkQueueWatch(options)
  const { prometheus, registry, measure } = checked
  const failures = new prometheus.Counter({
    name: 'roundsman_queue_measure_failures_total',
    help: 'How often the queue could not be measured, because the database did not answer in time.',
    registers: [registry],
  })
  const read = keepFresh(checked, measure, () => failures.inc())
  watchGauge(
    checked,
    {
      name: 'roundsman_queue_depth',
      help: 'Work of a job by state; 100000 stands for more.',
      labelNames: ['job_name', 'state'],
    },
    async (gauge) => {
      const rows = (await read()) ?? []
      gauge.reset()
      for (const { name: job_name, state, count } of rows) {
        gauge.set({ job_name, state: toLabel(state) }, count)
      }
    },
  )
  watchGauge(
    checked,
    {
      name: 'roundsman_queue_oldest_age_seconds',
      help: 'For how long the oldest work of a job has been in a state: ready to be taken, active, or given up.',
      labelNames: ['job_name', 'state'],
    },
    async (gauge) => {
      const rows = (await read()) ?? []
      gauge.reset()
      for (const { name: job_name, state, oldestSeconds } of rows) {
        if (state !== 'delayed') gauge.set({ job_name, state: toLabel(state) }, oldestSeconds ?? 0)
      }
    },
  )
}

/** Turns `deadLetter` into `dead_letter`. */
function toLabel(state: string): string {
  return state.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
