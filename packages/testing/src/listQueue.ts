import type { PrismaClient } from '@roundsman/db'
import { expect } from 'vitest'
import { emptyTables } from './emptyTables.ts'

/** What work is in, from the enqueue to its end. */
export const QUEUE =
  '"JobWork", "JobDeadLetter", "JobPayload", "JobUnique", "JobCancel", "JobClaim"'

export const emptyQueue = (prisma: PrismaClient): Promise<void> => emptyTables(prisma, QUEUE)

/** Where work is: it waits, is to be retried, runs, has succeeded, or was given up. */
export type WorkState = 'created' | 'retry' | 'active' | 'completed' | 'failed'

export interface QueuedWork {
  id: string
  name: string
  state: WorkState
  data: Record<string, unknown>
}

const DATA = `
  jsonb_strip_nulls(jsonb_build_object('trigger', 'queue', 'label', "label")) || coalesce("facts", '{}')
    || jsonb_build_object('payload', coalesce("payload", (select long."payload" from "JobPayload" long where long."id" = "payloadId")))`

/** Lists all work that waits, runs or was given up, as workers will find it. */
export function listQueue(prisma: PrismaClient): Promise<QueuedWork[]> {
  return prisma.$queryRawUnsafe(`
    select "id"::text, "name", state, ${DATA} as data from (
      select "id", "name", case "attempt" when 1 then 'created' else 'retry' end as state, "label", "facts", "payload", "payloadId", "enqueuedAt"
      from "JobWork"
      union all
      select "id", "name", 'failed', "label", "facts", "payload", "payloadId", "enqueuedAt" from "JobDeadLetter"
      union all
      select held."id", "name", 'active', held."label", held."facts", held."payload", held."payloadId", held."enqueuedAt"
      from "JobClaim" claim
        cross join unnest(claim."runIds", claim."labels", claim."facts", claim."payloads", claim."payloadIds", claim."enqueuedAts")
          as held("id", "label", "facts", "payload", "payloadId", "enqueuedAt")
    ) work
    order by "enqueuedAt", "id"`)
}

type Row = Record<string, unknown> & { uniqueKey: string | null; facts: object | null }
/** Work that has succeeded is in no table of the queue, and may be set back. */
const rows = new Map<string, Row>()

const TAKE_SQL = `
  with work as (
    delete from "JobWork" work where "id" = $1::uuid returning to_jsonb(work) as row
  ), letter as (
    delete from "JobDeadLetter" letter where "id" = $1::uuid returning to_jsonb(letter) as row
  ), claim as (
    delete from "JobClaim" where "runIds" = array[$1::uuid]
  ), run as (
    delete from "JobRun" where "id" = $1::uuid
  ), key as (
    delete from "JobUnique" where "workId" = $1::uuid
  )
  select row from work union all select row from letter`

const PUT_SQL: Record<WorkState, string> = {
  created: `insert into "JobWork" select * from jsonb_populate_record(null::"JobWork", $1::jsonb || '{"attempt": 1}')`,
  retry: `insert into "JobWork" select * from jsonb_populate_record(null::"JobWork", $1::jsonb || '{"attempt": 2}')`,
  active: `
    insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "uniqueKeys", "labels", "facts", "bytes",
      "enqueuedAts", "payloads")
    select gen_random_uuid(), "name", 'w1', now(), now() + interval '1 hour', array["id"], array["uniqueKey"], array["label"],
      array["facts"], array["bytes"], array["enqueuedAt"], array["payload"]
    from jsonb_populate_record(null::"JobWork", $1::jsonb)`,
  completed: `
    insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "workId", "startedAt", "endedAt")
    select "id", "name", 'success', 'queue', 'w1', "id", now(), now() from jsonb_populate_record(null::"JobWork", $1::jsonb)`,
  failed: `insert into "JobDeadLetter" select * from jsonb_populate_record(null::"JobDeadLetter", $1::jsonb)`,
}

/** Moves a piece of work to a state as the queue would, with the error with which it was given up. */
export async function setWork(
  prisma: PrismaClient,
  workId: string,
  state: WorkState,
  error: { code: string; message: string } | null = null,
): Promise<void> {
  const [taken] = await prisma.$queryRawUnsafe<{ row: Row }[]>(TAKE_SQL, workId)
  const defaults = { rank: 0, place: '1', dueAt: new Date(), failedAt: new Date() }
  const row = taken ? { ...defaults, ...taken.row } : rows.get(workId)
  if (row === undefined) throw new Error(`There is no work ${workId}`)
  rows.set(workId, row)
  const { code = 'expired', message = 'It was not settled in time' } = error ?? {}
  const { uniqueKey, facts } = row
  // Work of a dry run is not to be done again.
  if (state === 'failed' && facts !== null && 'dryRun' in facts && facts.dryRun === true) return
  const put = { ...row, failedAt: new Date(), errorCode: code, errorMessage: message }
  expect(await prisma.$executeRawUnsafe(PUT_SQL[state], JSON.stringify(put))).toBe(1)
  if (uniqueKey === null || state === 'completed' || state === 'failed') return
  await prisma.$executeRawUnsafe(
    `insert into "JobUnique" ("name", "key", "workId") values ($1, $2, $3::uuid)`,
    row['name'],
    uniqueKey,
    workId,
  )
}
