import { BACKLOG_SQL } from '../store/backlogSql.ts'
import type { Reader } from './reader.ts'

/** Work of a job that could be taken now, and waits. */
export interface Backlog {
  name: string
  ready: number
  /** Whether there is more: 100,000 are counted of all jobs together. */
  isCut: boolean
  /** For how long the oldest could have been taken. */
  oldestMs: number
  /** How many of the job were started a second while that waited, an hour at most. */
  takenPerSecond: number
  /** How many a second have come or have become due lately, of those that still wait. */
  comingPerSecond: number
  /** How long it takes at these rates, or longer where there is more; null when it never ends. */
  caughtUpInMs: number | null
}

/** The jobs of which work waits, the longest first. One bounded statement, however much waits. */
export async function measureBacklog(reader: Reader, names: readonly string[]): Promise<Backlog[]> {
  const rows = await reader.rows<
    Omit<Backlog, 'oldestMs' | 'caughtUpInMs'> & { oldestSeconds: number }
  >({
    text: BACKLOG_SQL,
    values: [names],
  })
  return rows.map(({ oldestSeconds, ...row }) => {
    const perSecond = row.takenPerSecond - row.comingPerSecond
    return {
      ...row,
      oldestMs: Math.round(oldestSeconds * 1_000),
      caughtUpInMs: perSecond > 0 ? Math.round((row.ready / perSecond) * 1_000) : null,
    }
  })
}
