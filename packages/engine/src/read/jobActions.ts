import { boundedText } from './bounded.ts'
import type { Reader } from './reader.ts'

/** What somebody has done about a job or a run. */
export interface ListedAction {
  /** ISO 8601 in UTC. */
  at: string
  /** A JobActionKind, or what another version may have written. */
  action: string
  actor: string
  reason: string | null
}

const MAX_OF_RUN = 100
const COLUMNS = `"at", ${boundedText('"action"')} as "action", ${boundedText('"actor"')} as "actor",
  ${boundedText('"reason"')} as "reason"`

/** What people did about a run, or about the work that it was an attempt at, in its order. */
export async function listRunActions(
  reader: Reader,
  { id, queueJobId }: { id: string; queueJobId: string | null },
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `
      select ${COLUMNS} from "JobAction" where "runId" = $1::uuid or "queueJobId" = $2::uuid
      order by "at" limit ${MAX_OF_RUN}`,
    values: [id, queueJobId],
  })
}

/** What people did about a job, the latest first. */
export async function listJobActions(
  reader: Reader,
  name: string,
  limit: number,
): Promise<ListedAction[]> {
  return await reader.rows<ListedAction>({
    text: `select ${COLUMNS} from "JobAction" where "name" = $1 order by "at" desc limit $2::int`,
    values: [name, limit],
  })
}
