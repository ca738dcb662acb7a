import type { PrismaTransactionLike } from 'pg-boss'

export type JobActionKind =
  | 'run'
  | 'dryRun'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'approve'
  | 'redrive'
  | 'discard'

/** Who wants something done, and why. */
export interface Actor {
  actor: string
  reason?: string
}

export interface JobActionTarget {
  name: string
  runId?: string
  queueJobId?: string
}

/** Writes down what somebody does, in the transaction that does it. */
export async function recordActions(
  tx: PrismaTransactionLike,
  action: JobActionKind,
  targets: readonly JobActionTarget[],
  { actor, reason }: Actor,
): Promise<void> {
  await tx.$queryRawUnsafe(
    `insert into "JobAction" ("action", "name", "runId", "queueJobId", "actor", "reason")
     select $1, name, run::uuid, job::uuid, $5, $6
     from unnest($2::text[], $3::text[], $4::text[]) as target(name, run, job)
     returning "id"::text`,
    action,
    targets.map(({ name }) => name),
    targets.map(({ runId }) => runId ?? null),
    targets.map(({ queueJobId }) => queueJobId ?? null),
    actor,
    reason ?? null,
  )
}
