import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** What somebody did to a job or a run. */
export interface ListedAction {
  /** ISO 8601 in UTC. */
  at: string
  /** A JobActionKind, or another text that a newer version wrote. */
  action: string
  actor: string
  reason: string | null
}

const MAX_OF_RUN = 100
const COLUMNS = `"at", ${boundedText('"action"')} as "action", ${boundedText('"actor"')} as "actor",
  ${boundedText('"reason"')} as "reason"`

/** Lists what people did to a run or to its work, the oldest first. */
export async function listRunActions(
  reader: JobsReader,
  { id, workId }: { id: string; workId: string | null },
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `
      select ${COLUMNS} from "JobAction" where "runId" = $1::uuid or "workId" = $2::uuid
      order by "at" limit ${MAX_OF_RUN}`,
    values: [id, workId],
  })
}

/** Lists what people did to a job, the latest first. */
export async function listJobActions(
  reader: JobsReader,
  name: string,
  limit: number,
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `select ${COLUMNS} from "JobAction" where "name" = $1 order by "at" desc limit $2::int`,
    values: [name, limit],
  })
}
