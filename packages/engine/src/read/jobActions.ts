import { boundedText } from './bounded.ts'
import { BULK_COLUMNS, type BulkAct } from './listBulks.ts'
import type { JobsReader } from './reader.ts'

/** What somebody did to a job or a run. */
export interface ListedAction {
  /** ISO 8601 in UTC. */
  at: string
  /** A JobActionKind, or another text that a newer version wrote. */
  action: string
  actor: string
  reason: string | null
  /** Of an act on many: what came of it; null of one on this alone. */
  bulk: Pick<BulkAct, 'id' | 'matched' | 'isCut' | 'done' | 'left' | 'endedAt' | 'stoppedBy'> | null
}

const MAX_OF_RUN = 100
const COLUMNS = `"at", ${boundedText('"action"')} as "action", ${boundedText('"actor"')} as "actor",
  ${boundedText('"reason"')} as "reason", null::text as "id", 0 as "matched", false as "isCut", 0 as "done", 0 as "left",
  null::timestamptz as "endedAt", null::text as "stoppedBy"`

/** Those whose rows as `bulk` meet the condition. */
const bulkActionsSql = (where: string) => `
  select "startedAt" as "at", "kind" as "action", "actor", "reason", "id", "matched", "isCut", "done", "left", "endedAt", "stoppedBy"
  from (select ${BULK_COLUMNS} from "JobBulk" bulk where ${where}) bulk`

type ActionRow = Omit<ListedAction, 'bulk'> &
  Omit<NonNullable<ListedAction['bulk']>, 'id'> & { id: string | null }

function toListed({ at, action, actor, reason, id, ...of }: ActionRow): ListedAction {
  return { at, action, actor, reason, bulk: id === null ? null : { id, ...of } }
}

/** Lists what people did to a run or to its work, alone or with others, the oldest first. */
export async function listRunActions(
  reader: JobsReader,
  { id, workId }: { id: string; workId: string | null },
): Promise<ListedAction[]> {
  const rows = await reader.rows<ActionRow>({
    text: `
      select ${COLUMNS} from "JobAction" where "runId" = $1::uuid or "workId" = $2::uuid
      union all ${bulkActionsSql(`bulk."id" in (
        select "bulkId" from "JobBulkPart" where "done" && array[$1::uuid, $2::uuid]
      )`)}
      order by "at" limit ${MAX_OF_RUN}`,
    values: [id, workId],
  })
  return rows.map(toListed)
}

/** Lists what people did to a job or to its work, the latest first. */
export async function listJobActions(
  reader: JobsReader,
  name: string,
  limit: number,
): Promise<ListedAction[]> {
  const rows = await reader.rows<ActionRow>({
    text: `
      (select ${COLUMNS} from "JobAction" where "name" = $1 order by "at" desc limit $2::int)
      union all (${bulkActionsSql('$1::text = any(bulk."names")')} order by 1 desc limit $2::int)
      order by "at" desc limit $2::int`,
    values: [name, limit],
  })
  return rows.map(toListed)
}
