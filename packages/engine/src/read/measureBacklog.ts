import { BACKLOG_SQL, MAX_READY } from '../store/backlogSql.ts'
import type { Reader } from './reader.ts'

/** Work of a job that could be taken now, and waits. */
export interface Backlog {
  name: string
  /** Exact up to 100,000, which also stands for more. */
  ready: number
  isCut: boolean
  /** For how long the oldest could have been taken. */
  oldestMs: number
  /** How many of the job were started a second while that waited, an hour at most. */
  takenPerSecond: number
  /** How many a second have come or have become due lately, of those that still wait. */
  comingPerSecond: number
  /** How long it takes at these rates; null when it never ends. */
  caughtUpInMs: number | null
}

/** The jobs of which work waits, the longest first. One bounded statement, however much waits. */
export async function measureBacklog(reader: Reader, names: readonly string[]): Promise<Backlog[]> {
  const rows = await reader.rows<
    Omit<Backlog, 'isCut' | 'oldestMs' | 'caughtUpInMs'> & { oldestSeconds: number }
  >({
    text: BACKLOG_SQL,
    values: [names],
  })
  return rows.map(({ oldestSeconds, ...row }) => {
    const perSecond = row.takenPerSecond - row.comingPerSecond
    return {
      ...row,
      isCut: row.ready >= MAX_READY,
      oldestMs: Math.round(oldestSeconds * 1_000),
      caughtUpInMs: perSecond > 0 ? Math.round((row.ready / perSecond) * 1_000) : null,
    }
  })
}
