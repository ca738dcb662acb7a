import type { Connection } from '../queue/database.ts'
import { readyJobsSql } from '../queue/readyJobsSql.ts'
import { BEAT_SQL } from '../queue/session.ts'
import { LOST_RUNS_SQL, type LostRun } from './rescue.ts'

export interface Seen {
  /** Running runs of workers that seem to be dead. */
  lost: LostRun[]
  /** Names of jobs with work that could be taken. */
  ready: string[]
}

/** An idle worker sends nothing else, so it is one statement; `$1` is the worker's id. */
const LOOK_SQL = `
  with beat as (${BEAT_SQL})
  select (select coalesce(jsonb_agg(lost), '[]') from (${LOST_RUNS_SQL}) lost) as "lost",
         (select coalesce(array_agg(ready.name), '{}') from (${readyJobsSql('$2')}) ready) as "ready"`

/** What a worker looks for once a second; on the way it gives its sign of life. */
export async function lookAround(
  connection: Connection,
  workerId: string,
  names: readonly string[],
): Promise<Seen> {
  const { rows } = await connection.query<{ lost: JsonRun[]; ready: string[] }>(LOOK_SQL, [
    workerId,
    names,
  ])
  const { lost = [], ready = [] } = rows[0] ?? {}
  return { lost: lost.map((run) => ({ ...run, startedAt: new Date(run.startedAt) })), ready }
}

/** As JSON carries it. */
type JsonRun = Omit<LostRun, 'startedAt'> & { startedAt: string }
