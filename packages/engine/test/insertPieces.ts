import { PLACE_SQL } from '../src/queue/place.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** A piece of work as the queue has it. */
export interface TestPiece {
  name: string
  /** It waits, runs, or is a dead letter. */
  state: 'waiting' | 'active' | 'failed'
  /** How long ago it became due, was taken or was given up; below 0: it is for later. Default 0. */
  secondsAgo?: number
  /** Default 1. */
  attempt?: number
  /** Default 0. */
  losses?: number
  /** Default 0. */
  priority?: number
  key?: string
  label?: string
  /** The code with which it was given up. Default `broken`. */
  code?: string
}

/** Writes work in the states that tests want, as the engine would have. What is due has its place in the order of that. */
export async function insertPieces(
  rows: TestRuntime['rows'],
  pieces: readonly TestPiece[],
): Promise<void> {
  await rows(INSERT_PIECES, [JSON.stringify(pieces)])
}

const INSERT_PIECES = `
  with piece as materialized (
    select piece.*, gen_random_uuid() as id, now() - coalesce("secondsAgo", 0) * interval '1 second' as at
    from jsonb_to_recordset($1::jsonb) as piece(
      name text, state text, "secondsAgo" float8, attempt int, losses int, priority int, key text, label text, code text
    )
  ), work as (
    insert into "JobWork" ("id", "name", "rank", "place", "dueAt", "attempt", "losses", "bytes", "uniqueKey", "label", "enqueuedAt", "payload")
    select id, name, -coalesce(priority, 0), case when at <= now() then ${PLACE_SQL} end, at, coalesce(attempt, 1),
           coalesce(losses, 0), 2, key, label, least(at, now()), '{}'
    from piece where state = 'waiting' order by at
  ), claim as (
    insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "createdAt", "runIds", "attempts", "uniqueKeys", "labels", "enqueuedAts", "payloads")
    select gen_random_uuid(), name, 'w1', at, now() + interval '1 hour', at, array[id], array[coalesce(attempt, 1)], array[key],
           array[label], array[at], array['{}'::jsonb]
    from piece where state = 'active'
  ), held as (
    insert into "JobUnique" ("name", "key", "workId") select name, key, id from piece where state <> 'failed' and key is not null
  )
  insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "uniqueKey", "label", "enqueuedAt", "failedAt", "errorCode", "errorMessage", "payload")
  select id, name, coalesce(attempt, 1), 2, key, label, at, at, coalesce(code, 'broken'), coalesce(code, 'broken'), '{}'
  from piece where state = 'failed'`
