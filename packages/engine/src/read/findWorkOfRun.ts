import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import type { JobsReader } from './reader.ts'

/** The rest of a run's work in the queue. */
export interface WorkOfRun {
  /** Whether the queue still has the payload, so that the work can run again. */
  holdsPayload: boolean
  /** Whether it is a dead letter, to be retried or discarded. */
  isDeadLetter: boolean
  /** The instant of its next attempt, as ISO 8601 in UTC. Null if it does not wait. */
  nextAt: string | null
  /**
   * The number of workers that it has lost, which costs no retry. From 2 on it runs alone in its process. Null if it neither
   * waits nor is a dead letter.
   */
  losses: number | null
  /**
   * The instant of its enqueueing, as ISO 8601 in UTC. For ended work it is the time in the work's id, in milliseconds by the
   * clock of the enqueueing program. Null if another program made that id.
   */
  enqueuedAt: string | null
}

/** The rest of the work `$2` of job `$1`. Blocked work keeps its payload for a day, although no table lists the work. */
const FIND_WORK_OF_RUN_SQL = `
  select letter."id" is not null as "isDeadLetter", work."dueAt" as "nextAt",
         coalesce(work."losses", letter."losses") as "losses",
         coalesce(work."enqueuedAt", letter."enqueuedAt", (
           select held."enqueuedAt" from "JobClaim" claim
             cross join unnest(claim."runIds", claim."workIds", claim."enqueuedAts") as held("runId", "workId", "enqueuedAt")
           where claim."name" = $1 and coalesce(held."workId", held."runId") = $2::uuid limit 1
         )) as "enqueuedAt",
         work."id" is not null or letter."id" is not null
           or exists (select from "JobRun" where "workId" = $2::uuid and "payloadId" is not null and "endedAt" > now() - interval '1 day')
           or exists (select from ${RUNS_UNDER_WAY} where run."name" = $1 and run."workId" = $2::uuid) as "holdsPayload"
  from (select) one
  left join "JobWork" work on work."id" = $2::uuid and work."name" = $1
  left join "JobDeadLetter" letter on letter."id" = $2::uuid and letter."name" = $1`

/** Finds a run's work. It never returns the payload. */
export async function findWorkOfRun(
  reader: JobsReader,
  { name, workId }: { name: string; workId: string | null },
): Promise<WorkOfRun> {
  if (workId === null) return NO_WORK
  const rows = await reader.rows<WorkOfRun>({ text: FIND_WORK_OF_RUN_SQL, values: [name, workId] })
  const [work = NO_WORK] = rows
  return { ...work, enqueuedAt: work.enqueuedAt ?? readTime(workId) }
}

const NO_WORK: WorkOfRun = {
  holdsPayload: false,
  isDeadLetter: false,
  nextAt: null,
  losses: null,
  enqueuedAt: null,
}

/** RFC 9562: version 7 begins with 48 bits of milliseconds. */
function readTime(id: string): string | null {
  const digits = id.replaceAll('-', '')
  return digits[12] === '7'
    ? new Date(Number.parseInt(digits.slice(0, 12), 16)).toISOString()
    : null
}
