import type { SnapshotHolder } from '../read/getOldestSnapshot.ts'
import { checkParts } from '../job/argument.ts'
import { FRESHNESS, keepFresh } from './keepFresh.ts'
import { watchGauge, type MetricsTarget } from './prometheus.ts'

export interface OldestSnapshotWatchOptions extends MetricsTarget {
  /** `() => getOldestSnapshot(reader)` */
  read: () => Promise<SnapshotHolder | null>
  /** However often somebody scrapes, the database is asked no more often than this. Default 5,000 ms. */
  maxAgeMs?: number
  /** How long a scrape waits for the database. Default 2,000 ms. */
  timeoutMs?: number
}

/** Registers how old the oldest snapshot is. While the database does not answer there is no value. */
export function watchOldestSnapshot(options: OldestSnapshotWatchOptions): void {
  const { read } = options
  const { maxAgeMs = 5_000, timeoutMs = 2_000 } = checkParts('options', options, FRESHNESS)
  const readFresh = keepFresh({
    read: async () => [await read()],
    maxAgeMs,
    timeoutMs,
    onFailure: () => undefined,
  })
  watchGauge(
    options,
    {
      name: 'roundsman_oldest_snapshot_transactions',
      help: 'How many transactions have begun since the oldest snapshot, which keeps old rows from being removed.',
      labelNames: ['kind'],
    },
    async (gauge) => {
      const [holder] = (await readFresh()) ?? []
      gauge.reset()
      if (holder) gauge.set({ kind: holder.kind }, holder.transactions)
    },
  )
  watchGauge(
    options,
    {
      name: 'roundsman_oldest_snapshot_age_seconds',
      help: 'For how long the transaction of the oldest snapshot has been open; absent where nobody can tell.',
      labelNames: ['kind'],
    },
    async (gauge) => {
      const [holder] = (await readFresh()) ?? []
      gauge.reset()
      if (holder?.since)
        gauge.set(
          { kind: holder.kind },
          Math.max(0, (Date.now() - Date.parse(holder.since)) / 1_000),
        )
    },
  )
}
