import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** An action of a person on a job or a run. */
export interface ListedAction {
  /** ISO 8601 in UTC. */
  at: string
  /** A JobActionKind, or another text that a newer version wrote. */
  action: string
  actor: string
  reason: string | null
  /** The number of pieces that the act concerned; 1 for a single thing. */
  count: number
}

const MAX_OF_RUN = 100
const SAID = `"at", ${boundedText('"action"')} as "action", ${boundedText('"actor"')} as "actor",
  ${boundedText('"reason"')} as "reason"`
/** One act can have several records of a job, from one transaction. Each names a part of the pieces. */
const COUNT = `sum(coalesce(cardinality("pieces"), 1))::int`

/** Lists the actions on a run or its work, also on several pieces at once, the oldest first. */
export async function listRunActions(
  reader: JobsReader,
  { id, workId }: { id: string; workId: string | null },
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `
      select ${SAID}, (
          select ${COUNT} from "JobAction" "same" where "same"."name" = act."name" and "same"."at" = act."at"
            and "same"."action" = act."action" and "same"."actor" = act."actor" and "same"."reason" is not distinct from act."reason"
        ) as "count"
      from "JobAction" act
      where "runId" = $1::uuid or "workId" = $2::uuid or "pieces" && array[$1::uuid, $2::uuid]
      order by "at" limit ${MAX_OF_RUN}`,
    values: [id, workId],
  })
}

/** Maximum of looks at payloads in the list. They are counted separately, so that they do not displace changes of the job. */
const MAX_LOOKS = 3
const MAX_LATEST = 1_000

/**
 * Lists the actions on a job or its work, the latest first: `limit` changes, and the latest looks at payloads. Actions on
 * schedules with a key are not included.
 */
export async function listJobActions(
  reader: JobsReader,
  name: string,
  limit: number,
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `
      with latest as materialized (
        select "at", "action", "actor", "reason", ${COUNT} as "count" from (
          select ${SAID}, "pieces" from "JobAction" where "name" = $1 and "scheduleKey" is null
          order by "at" desc limit ${MAX_LATEST}
        ) act group by 1, 2, 3, 4
      )
      (select * from latest where "action" <> 'showPayload' order by "at" desc limit $2::int)
      union all (
        select * from latest where "action" = 'showPayload' order by "at" desc limit ${MAX_LOOKS}
      )
      order by "at" desc`,
    values: [name, limit],
  })
}

/** An earlier action on one or several things. */
export type EarlierAction = Omit<ListedAction, 'count'>

/** Looks only at this many of a job's latest actions. */
const MAX_LOOKED_AT = 1_000

/** Finds the last action of these kinds on a job or, with its key, on one of its schedules. Null if there is none. */
export async function findLastActionOfJob(
  reader: JobsReader,
  name: string,
  kinds: readonly string[],
  scheduleKey?: string,
): Promise<EarlierAction | null> {
  const [action] = await reader.rows<EarlierAction>({
    text: `
      select * from (
        select ${SAID} from "JobAction" where "name" = $1 and ${scheduleKey === undefined ? '"scheduleKey" is null' : '"scheduleKey" = $3::text'}
        order by "at" desc limit ${MAX_LOOKED_AT}
      ) latest where "action" = any($2::text[]) order by "at" desc limit 1`,
    values: [name, kinds, ...(scheduleKey === undefined ? [] : [scheduleKey])],
  })
  return action ?? null
}

/**
 * Finds the last action of these kinds on any of these runs or pieces of work. Null if there is none. A cancelled or approved
 * run counts for its work, and an action on the work counts for its runs.
 */
export async function findLastAction(
  reader: JobsReader,
  { runIds = [], workIds = [] }: { runIds?: readonly string[]; workIds?: readonly string[] },
  kinds: readonly string[],
): Promise<EarlierAction | null> {
  const [action] = await reader.rows<EarlierAction>({
    text: `
      with work as materialized (
        select unnest($1::uuid[]) as id union select "workId" from "JobRun" where "id" = any($2::uuid[])
      ), run as materialized (
        select unnest($2::uuid[]) as id union select "id" from "JobRun" where "workId" = any(array(select id from work))
      )
      select ${SAID} from "JobAction"
      where ("workId" = any(array(select id from work)) or "runId" = any(array(select id from run))
          or "pieces" && array(select id from work union all select id from run))
        -- An approval also names the work that it has created. A run may have the id of its work.
        and ("action" not in ('cancel', 'approve') or "runId" = any(array(select id from run))
          or "pieces" && array(select id from run))
        and "action" = any($3::text[])
      order by "at" desc limit 1`,
    values: [workIds, runIds, kinds],
  })
  return action ?? null
}

/** Lists the actions on a keyed schedule, the latest first; also on a deleted one. */
export async function listScheduleActions(
  reader: JobsReader,
  { name, key, limit }: { name: string; key: string; limit: number },
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `
      select ${SAID}, 1 as "count" from "JobAction" where "name" = $1::text and "scheduleKey" = $2::text
      order by "at" desc limit $3::int`,
    values: [name, key, limit],
  })
}
