import { checkSnapshotWatch } from '../arguments/watches.ts'
import type { SnapshotHolder } from '../read/getOldestSnapshot.ts'
import { keepFresh, type FreshnessOptions } from './keepFresh.ts'
import { watchGauge } from './prometheus.ts'

export interface OldestSnapshotWatchOptions extends FreshnessOptions {
  /** `() => getOldestSnapshot(reader)` */
  read: () => Promise<SnapshotHolder | null>
}

/** Registers how old the oldest snapshot is. While the database does not answer there is no value. */
export function watchOldestSnapshot(options: OldestSnapshotWatchOptions): void {
  const checked = checkSnapshotWatch(options)
  const { read } = checked
  const readFresh = keepFresh(
    checked,
    async () => [await read()],
    () => undefined,
  )
  watchGauge(
    checked,
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
    checked,
    {
      name: 'roundsman_oldest_snapshot_age_seconds',
      help: 'For how long the transaction of the oldest snapshot has been open; absent if that is unknown.',
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
