import { rangeValues, toRanges, UNDERSTANDS, type RankRange } from './claimWork.ts'
import type { Connection } from '../database/database.ts'
import { PLACE_SQL } from './place.ts'
import type { Behind } from './taken.ts'

/*
 * A round's look at the work that waits for its worker. However much work waits, it reads only the first piece behind each floor.
 */

/** Where to look, for each job. */
export interface LookRequest {
  name: string
  /** `hint`: the place behind which this worker's next claim continues. */
  behind: readonly (Behind & { hint: string })[]
  /** Whether an open transaction keeps a floor from moving. Default: no. */
  isHeldUp?: boolean
}

/** The row that answers a look. */
export interface Seen {
  /** The oldest transaction that may still write something which this snapshot does not show. */
  xmin: string
  /** When the server that answered was started: after a fail-over it is another. */
  server: string
  /** The look's own transaction, which has an id only where a hint is ahead of its floor (work/floors.ts). */
  transaction: string | null
  /**
   * The oldest transaction that writes to JobWork and has not ended, without the look's own; if there is none, the id after the
   * look's own. Null unless a floor is held up.
   */
  oldestWriter: string | null
  /** For each range the place of its first work; null where there is none. */
  firsts: (string | null)[]
  /** Jobs whose work has become due and got its places. This snapshot does not show that work yet. */
  placed: string[]
  /** Jobs with work that waits to run alone. */
  suspects: string[]
  paused: string[]
}

/** Keeps a round short. The next one goes on. */
const MAX_PLACED = 10_000

/**
 * A CTE that gives places to due work of the jobs in the parameter `names`: by default in another order each
 * time, so that a job with very much due work does not keep others waiting.
 */
export const placeDueSql = (names: string, order = 'random()') => `placed as (
    with due as materialized (
      select due."id", ${PLACE_SQL} as "place"
      from (
        select due."id" from (
          select name from unnest(${names}::text[]) with ordinality as job(name, at) order by ${order}
        ) job cross join lateral (
          select "id" from "JobWork" where "name" = job.name and "place" is null and "dueAt" <= now()
          order by "dueAt", "id" limit ${MAX_PLACED} for update skip locked
        ) due limit ${MAX_PLACED}
      ) due
    )
    update "JobWork" work set "place" = due."place" from due where work."id" = due."id"
    returning work."name"
  )`

/** Gives places to due work of these jobs, as a round does, but in the order of this list. */
export async function placeDue(connection: Connection, names: readonly string[]): Promise<void> {
  await connection.query(`with ${placeDueSql('$1', 'at')} select from placed`, [names])
}

const OWN_ID = 'pg_current_xact_id()::text::bigint'

/** PostgreSQL's locks name ids without their epoch: these are at most 2^31 from the look's own. */
const OLDEST_WRITER = `
    select coalesce(min(${OWN_ID} + 2147483648 - ((${OWN_ID} + 2147483648 - id.transactionid::text::bigint) & 4294967295)), ${OWN_ID} + 1)::text
    from pg_locks work join pg_locks id using (virtualtransaction)
    where work.relation = '"JobWork"'::regclass and work.mode = 'RowExclusiveLock' and work.pid is distinct from pg_backend_pid()
      and work.database = (select oid from pg_database where datname = current_database())
      and id.locktype = 'transactionid' and id.mode = 'ExclusiveLock'`

/**
 * The columns of `Seen`. Its parameters: `names`; for each range the place of its name there, behind which rank and place to look,
 * and the last rank; `marks`: whether it gets an id (1), and reads locks (2).
 */
export const SEEN = `
  pg_snapshot_xmin(pg_current_snapshot())::text as "xmin", pg_postmaster_start_time()::text as "server",
  case when :marks::int > 0 then pg_current_xact_id()::text end as "transaction",
  case when :marks::int = 2 then (${OLDEST_WRITER}
  ) end as "oldestWriter",
  array(
    select (
      select work."place"::text from "JobWork" work
      where work."name" = (:names::text[])[range."request"] and work."place" is not null and work."losses" < 2
        and (work."rank", work."place") > (range."rank", range."place") and work."rank" <= range."end"
        and work."needs" <= ${UNDERSTANDS}
      order by work."rank", work."place" limit 1
    )
    from unnest(:requests::int[], :ranks::int[], :places::bigint[], :ends::int[]) with ordinality as range("request", "rank", "place", "end", "at")
    order by range."at"
  ) as "firsts",
  array(select distinct "name" from placed) as "placed",
  array(
    select job.name from unnest(:names::text[]) job(name) where exists (
      select from "JobWork" work
      where work."name" = job.name and work."place" is not null and work."losses" >= 2 and work."needs" <= ${UNDERSTANDS}
    ) and not exists (select from "JobClaim" other where other."exclusiveKey" = job.name)
  ) as "suspects",
  array(select "name" from "JobQueue" where "name" = any(:names::text[])) as "paused"`

/** The parameters of SEEN, and its ranges in their order. */
export function lookValues(requests: readonly LookRequest[]): {
  values: Record<string, unknown>
  ranges: RankRange[]
} {
  const ranges = requests.flatMap(toRanges)
  const isMarking = requests.some(({ behind }) => behind.some(({ place, hint }) => place !== hint))
  return {
    ranges,
    values: {
      names: requests.map(({ name }) => name),
      ...rangeValues(ranges),
      marks: requests.some(({ isHeldUp }) => isHeldUp) ? 2 : Number(isMarking),
    },
  }
}
