import type { JsonValue } from '../job/handler.ts'
import { checkIdOf } from '../arguments/queries.ts'
import { jsonInstant } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A step of durable work. Instants are ISO 8601 in UTC. */
export interface ListedStep {
  name: string
  item: string
  kind: 'run' | 'tx' | 'sleep' | 'wait' | 'map' | 'invoke'
  /**
   * `done` and `failed` have a memo. `waiting`: a sleep or a wait that is not over, or children that have not ended. `inDoubt`: its effect may have happened, and is under way or
   * waits for an answer. `retrying`: it has failed, and is tried again.
   */
  state: 'done' | 'failed' | 'waiting' | 'inDoubt' | 'retrying'
  /** The run that wrote it last. */
  runId: string
  startedAt: string
  endedAt: string | null
  /** When a sleep is over, or a wait times out. */
  until: string | null
  /** The signal that a wait is for, and its key. */
  signal: string | null
  key: string | null
  failures: number
  error: { code: string; message: string } | null
  result: JsonValue
}

/** No work has more. */
const MAX_LISTED = 2_000

/** Lists the steps of a piece of work: those with a memo in the order of these, then what is open. */
export async function listSteps(reader: JobsReader, workId: string): Promise<ListedStep[]> {
  const id = checkIdOf(reader, 'workId', workId)
  return await reader.rows<ListedStep>({
    text: `
      select "name", "item", "kind", case
          when "endedAt" is not null then case when "error" is null then 'done' else 'failed' end
          when "doubtSince" is not null then 'inDoubt' when "until" is not null or "kind" in ('wait', 'map', 'invoke') then 'waiting' else 'retrying'
        end as "state", "runId"::text as "runId", ${jsonInstant('"startedAt"')} as "startedAt",
        ${jsonInstant('"endedAt"')} as "endedAt", ${jsonInstant('"until"')} as "until", "signal", "key", "failures", "error",
        "result"
      from "JobStep" where "workId" = $1::uuid
      order by "seq" nulls last, "startedAt", "name", "item" limit ${MAX_LISTED}`,
    values: [id],
  })
}

/** Of steps listed before a retry from some step: those that lost their memo, so that the work does them again. */
export function findStepsDoneAgain(
  before: readonly ListedStep[],
  after: readonly ListedStep[],
): Pick<ListedStep, 'name' | 'item'>[] {
  const keep = ({ name, item, endedAt }: ListedStep) => JSON.stringify([name, item, endedAt])
  const kept = new Set(after.map(keep))
  return before
    .filter((step) => step.endedAt !== null && !kept.has(keep(step)))
    .map(({ name, item }) => ({ name, item }))
}
