import { checkTexts } from '../job/argument.ts'
import { BACKLOG_SQL } from '../store/backlogSql.ts'
import type { Reader } from './reader.ts'

/** Work of a job that waits and could be taken now. */
export interface Backlog {
  name: string
  ready: number
  /** Whether there may be more: counting stops at 100,000 over all jobs. */
  isCut: boolean
  /** How long the oldest has been due. */
  oldestMs: number
  /** How many runs of the job started per second while that waited, within the last hour at most. */
  takenPerSecond: number
  /** How many pieces per second, of those that still wait, became due lately. */
  comingPerSecond: number
  /** How long it takes to catch up at these rates, or longer when `isCut`; null when it never catches up. */
  caughtUpInMs: number | null
}

/** Measures the jobs with waiting work, the longest wait first. One bounded statement, however much waits. */
export async function measureBacklog(reader: Reader, names: readonly string[]): Promise<Backlog[]> {
  const rows = await reader.rows<
    Omit<Backlog, 'oldestMs' | 'caughtUpInMs'> & { oldestSeconds: number }
  >({
    text: BACKLOG_SQL,
    values: [checkTexts('names', names)],
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
