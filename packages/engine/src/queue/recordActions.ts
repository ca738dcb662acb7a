import type { Connection } from '../database/database.ts'
import { MAX_REASON_LENGTH, storableActor } from '../arguments/actions.ts'

export type JobActionKind =
  | 'run'
  | 'dryRun'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'approve'
  | 'redrive'
  | 'discard'
  | 'pauseQueue'
  | 'resumeQueue'
  | 'cancelWork'
  | 'postponeWork'
  | 'prioritiseWork'
  /** A person has found out whether the effect of a step has happened. */
  | 'answerDoubt'
  /** A person has sent a signal by hand. */
  | 'signal'
  /** A limit is another from then on: by a worker, of its version, or by a person. */
  | 'setLimit'
  /** A person has set the limit or the pause of one key of a job. */
  | 'setKey'
  /** A person looked at a payload. */
  | 'showPayload'
  /** The schedule is another from then on: by a worker, of its version, or one with a key, by a program. */
  | 'reschedule'
  | 'backfill'

/** The person who acts, and the reason. */
export interface Actor {
  actor: string
  reason?: string
}

export interface JobActionTarget {
  name: string
  runId?: string
  workId?: string
  scheduleKey?: string
  /** The change, as a prefix of the reason. */
  change?: string
}

/** Records an action, in the transaction that carries it out. */
export async function recordActions(
  tx: Connection,
  action: JobActionKind,
  targets: readonly JobActionTarget[],
  by: Actor,
): Promise<void> {
  const { actor, reason } = storableActor(by)
  await tx.query(
    `insert into "JobAction" ("action", "name", "runId", "workId", "actor", "reason", "scheduleKey")
     select $1, "name", "runId", "workId", $3,
            case when "change" is null then $4::text else left(concat_ws('; ', "change", $4::text), ${MAX_REASON_LENGTH}) end, "scheduleKey"
     from json_to_recordset($2::text::json)
       as target("name" text, "runId" uuid, "workId" uuid, "scheduleKey" text, "change" text)
     returning "id"::text`,
    [action, JSON.stringify(targets), actor, reason ?? null],
  )
}

/** At most this many ids are kept within the row. PostgreSQL would have to read all records for an id that is elsewhere. */
const MAX_IN_RECORD = 340

/** Records an action on many pieces of work or runs: one record for each job, with their ids. */
export async function recordMany(
  tx: Connection,
  action: JobActionKind,
  targets: readonly { name: string; id: string }[],
  { actor, reason }: Actor,
): Promise<void> {
  if (targets.length === 0) return
  await tx.query(
    `insert into "JobAction" ("action", "name", "pieces", "actor", "reason")
     select $1, "name", array_agg("id"), $4, $5::text from (
       select "name", "id", (row_number() over (partition by "name") - 1) / ${MAX_IN_RECORD} as "part"
       from unnest($2::text[], $3::uuid[]) target("name", "id")
     ) target group by "name", "part"
     returning "id"::text`,
    [action, targets.map(({ name }) => name), targets.map(({ id }) => id), actor, reason ?? null],
  )
}
