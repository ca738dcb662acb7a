import { getQueueStats, type JobsReader } from '@roundsman/engine/client'
import type { ConsoleQueue } from '../contract.ts'

type Moment = ConsoleQueue['history'][number]

/** How much waited in the queue over the last hour, as far as this process was there to measure it. */
export interface QueueHistory {
  start(): void
  stop(): void
  /** The oldest first. */
  read(now: Date): readonly Moment[]
}

export interface QueueHistoryOptions {
  reader: JobsReader
  names: readonly string[]
  now: () => Date
  /** How often it measures, by one bounded statement. Default 15,000 ms. */
  everyMs?: number
}

const HOUR_MS = 3_600_000

/**
 * Measures the queue every few seconds and keeps an hour of it, since PostgreSQL keeps no record of what waited. When the
 * database does not answer, that moment is missing.
 */
export function createQueueHistory(options: QueueHistoryOptions): QueueHistory {
  const { reader, names, now, everyMs = 15_000 } = options
  let moments: readonly Moment[] = []
  let timer: NodeJS.Timeout | undefined
  let isMeasuring = false

  async function measure(): Promise<void> {
    if (isMeasuring) return
    isMeasuring = true
    try {
      const rows = await getQueueStats(reader, names)
      const ready = rows.filter(({ state }) => state === 'ready')
      const moment = {
        at: now().toISOString(),
        ready: ready.reduce((sum, { count }) => sum + count, 0),
        oldestMs: Math.round(
          1_000 * ready.reduce((most, row) => Math.max(most, row.oldestSeconds ?? 0), 0),
        ),
      }
      moments = [...recent(now()), moment]
    } catch {
      // The chart then has a gap; any other request tells why.
    } finally {
      isMeasuring = false
    }
  }

  function recent(at: Date): readonly Moment[] {
    const from = new Date(at.getTime() - HOUR_MS).toISOString()
    return moments.filter((moment) => moment.at >= from)
  }

  return {
    start() {
      timer = measureEvery(everyMs, new WeakRef(measure))
      void measure()
    },
    stop: () => clearInterval(timer),
    read: recent,
  }
}

/** Holds it weakly: in development, a framework that reloads makes another handler, and closes none. */
function measureEvery(everyMs: number, ref: WeakRef<() => Promise<void>>): NodeJS.Timeout {
  const timer = setInterval(() => {
    const measure = ref.deref()
    if (measure) void measure()
    else clearInterval(timer)
  }, everyMs)
  return timer.unref()
}
