import { readyJobsSql } from '../store/queueSql.ts'
import { BEAT_SQL, type Session } from './session.ts'
import { LOST_CLAIMS_SQL, type LostClaim } from './whoIsLost.ts'

export interface Seen {
  /** What workers held that seem to be dead. */
  lost: LostClaim[]
  /** Names of jobs with work that could be taken. */
  ready: string[]
}

/** An idle worker sends nothing else, so it is one statement; `$1` is the worker's id. */
const LOOK_SQL = `
  with beat as (${BEAT_SQL})
  select (select coalesce(jsonb_agg(lost), '[]') from (${LOST_CLAIMS_SQL}) lost) as "lost",
         (select coalesce(array_agg(ready.name), '{}') from (${readyJobsSql('$2')}) ready) as "ready"`

/** What a worker looks for once a second; on the way it gives its sign of life. */
export async function lookAround(
  connection: Pick<Session, 'query'>,
  workerId: string,
  names: readonly string[],
): Promise<Seen> {
  const { rows } = await connection.query<Seen & { [column: string]: unknown }>(LOOK_SQL, [
    workerId,
    names,
  ])
  return rows[0] ?? { lost: [], ready: [] }
}
