import type { PrismaTransactionLike } from 'pg-boss'

export type Approval =
  | { kind: 'taken'; name: string; payload: unknown; rows: number }
  | { kind: 'notFound' | 'notBlocked' | 'tooLate' | 'alreadyApproved' }

interface BlockedRun {
  name: string
  isBlocked: boolean
  isApproved: boolean
  isTooOld: boolean
  due: number | null
  payload: unknown
}

/** Marks a blocked run as approved, once, and says what its successor may do. */
export async function takeApproval(
  tx: PrismaTransactionLike,
  runId: string,
  actor: string,
): Promise<Approval> {
  // Locked: of two people who approve at once, the second finds it approved.
  const rows = await tx.$queryRawUnsafe<BlockedRun[]>(
    `select run."name",
            run."errorCode" is not distinct from 'guard_blocked' as "isBlocked",
            run."approvedAt" is not null as "isApproved",
            run."endedAt" < now() - interval '1 day' as "isTooOld",
            case when jsonb_typeof(run."details" #> '{guard,due}') = 'number'
              then case when (run."details" #> '{guard,due}')::numeric between 0 and 9007199254740991
                then (run."details" #> '{guard,due}')::float8 end end as "due",
            (select job.data -> 'payload' from pgboss.job job
             where job.name = run."name" and job.id = run."queueJobId") as "payload"
     from "JobRun" run where run."id" = $1::uuid for update of run`,
    runId,
  )
  const [run] = rows
  if (!run) return { kind: 'notFound' }
  if (!run.isBlocked || run.due === null) return { kind: 'notBlocked' }
  if (run.isApproved) return { kind: 'alreadyApproved' }
  if (run.isTooOld) return { kind: 'tooLate' }
  await tx.$queryRawUnsafe(
    `update "JobRun" set "approvedAt" = now(), "approvedBy" = $2 where "id" = $1::uuid returning "id"::text`,
    runId,
    actor,
  )
  return { kind: 'taken', name: run.name, payload: run.payload ?? {}, rows: run.due }
}
