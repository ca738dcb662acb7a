import type { JsonValue } from '../job/handler.ts'
import { checkIdOf } from '../arguments/queries.ts'
import { OF_STEP } from '../queue/children.ts'
import { boundedText, jsonInstant } from './bounded.ts'
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
  /**
   * Who has sent the signal of a wait, or said last whether an effect has happened (`happened`). `actor` is null where code has sent the
   * signal and named no person.
   */
  answer: {
    at: string
    actor: string | null
    reason: string | null
    happened: boolean | null
  } | null
  /** The children that a step waits for or has had. */
  children: StepChildren | null
}

export interface StepChildren {
  job: string
  count: number
  /** The number that have failed permanently. */
  failed: number
  /** How many have not ended. */
  left: number
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
        "result", case when "answer" is not null then jsonb_build_object(
          'at', ${jsonInstant(`("answer" ->> 'at')::timestamptz`)}, 'actor', ${boundedText(`"answer" ->> 'actor'`)},
          'reason', ${boundedText(`"answer" ->> 'reason'`)}, 'happened', "answer" -> 'happened'
        ) end as "answer", case when "kind" in ('map', 'invoke') then (
          select jsonb_build_object('job', min(child."job"), 'count', count(*), 'failed', count(child."errorCode"),
            'left', count(*) - count(child."endedAt"))
          from "JobChild" child where ${OF_STEP('step')} having count(*) > 0
        ) end as "children"
      from "JobStep" step where "workId" = $1::uuid
      order by "seq" nulls last, "startedAt", "name", "item" limit ${MAX_LISTED}`,
    values: [id],
  })
}

/** One of the pieces of work that a step has enqueued and waits for. Instants are ISO 8601 in UTC. */
export interface ListedChild {
  /** Its place in the list, from 0. */
  at: number
  workId: string
  label: string | null
  state: (typeof CHILD_STATES)[number]
  endedAt: string | null
  /** Why it has failed. */
  errorCode: string | null
}

export const CHILD_STATES = ['left', 'done', 'failed'] as const

export interface ChildQuery {
  workId: string
  step: string
  item: string
  /** Default: any. */
  state?: ListedChild['state'] | undefined
  limit: number
  /** Only children after this place. */
  after?: number | undefined
}

const STATE_OF_CHILD = `case when child."endedAt" is null then 'left' when child."errorCode" is null then 'done' else 'failed' end`

/** Lists the children of a step, in the order of their list. */
export async function listChildren(
  reader: JobsReader,
  { workId, step, item, state, limit, after = -1 }: ChildQuery,
): Promise<ListedChild[]> {
  const id = checkIdOf(reader, 'workId', workId)
  return await reader.rows<ListedChild>({
    text: `
      select child."at", child."workId"::text as "workId", ${STATE_OF_CHILD} as "state", ${jsonInstant('child."endedAt"')} as "endedAt",
        ${boundedText('child."errorCode"')} as "errorCode", ${boundedText(`coalesce(
          (select work."label" from "JobWork" work where work."id" = child."workId"),
          (select run."label" from "JobRun" run where run."workId" = child."workId" order by run."startedAt" desc limit 1)
        )`)} as "label"
      from "JobChild" child
      where child."parentId" = $1::uuid and child."step" = $2 and child."item" = $3 and child."at" > $4::int
        and ($5::text is null or ${STATE_OF_CHILD} = $5)
      order by child."at" limit $6::int`,
    values: [id, step, item, after, state ?? null, limit],
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
