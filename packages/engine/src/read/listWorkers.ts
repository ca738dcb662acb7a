import { expectReader } from '../arguments/queries.ts'
import { isAliveSql } from '../database/workerLock.ts'
import { LAST_SIGN_OFF, SIGN_COUNTS_MS } from '../queue/lostClaims.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import { boundedJson, boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** Instants are ISO 8601 in UTC. */
export interface ListedWorker {
  id: string
  startedAt: string
  /** False for a worker that was killed: it stays listed for a day. */
  isAlive: boolean
  /** Its last heartbeat; a worker sends one every five seconds. */
  lastSignAt: string
  /** The version of the product that it runs. Null if not given. */
  version: string | null
  /** Maximum of runs of each job at once. Null if not given. */
  lanes: unknown
}

/** Enough for hundreds of jobs. */
const MAX_LANES_BYTES = 64_000

const WORKER = `
  worker."id", worker."startedAt", worker."heartbeatAt" as "lastSignAt",
  ${boundedText('worker."version"')} as "version", ${boundedJson('worker."lanes"', MAX_LANES_BYTES)} as "lanes",
  ${isAliveSql('worker."id"')} as "isAlive"`

/** Lists workers, 1,000 at most: living ones first, then the latest started first. */
export async function listWorkers(reader: JobsReader): Promise<ListedWorker[]> {
  expectReader(reader)
  return await reader.rows<ListedWorker>({
    text: `select ${WORKER} from "JobWorker" worker order by "isAlive" desc, worker."startedAt" desc limit 1000`,
  })
}

/** Living workers give a sign every five seconds: a single late one is no problem yet. */
const SILENT_AFTER_MS = 60_000

/** Whether a living worker has given no sign for longer than usual. */
export function isWorkerSilent(
  { isAlive, lastSignAt }: Pick<ListedWorker, 'isAlive' | 'lastSignAt'>,
  now: Date,
): boolean {
  return isAlive && now.getTime() - Date.parse(lastSignAt) > SILENT_AFTER_MS
}

/** Whether any process lives that can execute work, including `pnpm worker:once` while it runs. */
export async function isAnyWorkerAlive(reader: JobsReader): Promise<boolean> {
  const [found] = await reader.rows<{ isAlive: boolean }>({
    text: `select exists (
       select from "JobWorker" worker where ${isAliveSql('worker."id"')}
     ) as "isAlive"`,
  })
  return found?.isAlive ?? false
}

/**
 * The last sign of life of any worker, as ISO 8601 in UTC: its heartbeat or its stop. Null if none is on record. A worker of a
 * version that does not record its stop may have lived longer.
 */
export async function findLastSign(reader: JobsReader): Promise<string | null> {
  const [found] = await reader.rows<{ at: string | null }>({
    text: `select max(sign.at) as "at" from (
       select "heartbeatAt" as at from "JobWorker" union all select "freeAt" from "JobThrottle" where "name" = $1
     ) sign`,
    values: [LAST_SIGN_OFF],
  })
  return found?.at ?? null
}

/**
 * The version that a worker runs or ran. Null if not given, or if its row was removed. `workerId` is an expression. A run
 * stores no version, so it costs a run nothing.
 */
export function versionOf(workerId: string): string {
  const of = (table: string) => `(select "version" from ${table} where "id" = ${workerId})`
  return `coalesce(${of('"JobWorker"')}, ${of('"JobFormerWorker"')})`
}

/** How many of a job's latest runs are looked through for changes of the version, and how many changes are listed. */
const MAX_RUNS = 20_000
const MAX_CHANGES = 20

/** Where another version was there than before. */
export interface VersionChange {
  /** ISO 8601 in UTC: the first run of a job by a worker of it, or when its first worker started. */
  at: string
  version: string
}

/**
 * Lists where the version of a job's workers changed, the latest 20, the oldest first. Each worker counts from its first run of
 * the job; the first version is no change, and unknown versions are skipped.
 */
export async function listVersionChanges(
  reader: JobsReader,
  { name, from }: { name: string; from: Date },
): Promise<VersionChange[]> {
  return await reader.rows<VersionChange>({
    text: `
      select * from (
        select "at", "version" from (
          select "at", "version", lag("version") over (order by "at", "version") as "before" from (
            select min("startedAt") as "at", ${boundedText(versionOf('latest."workerId"'))} as "version" from (
              select run.* from unnest(array[$1::text], array[$2::timestamptz]) job(name, since) cross join lateral (
                select "workerId", "startedAt" from "JobRunAll"
                where ${equalsInOrder('"name"', 'job.name')} and "startedAt" >= job.since
                order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
              ) run
            ) latest group by latest."workerId"
          ) worker where "version" is not null
        ) listed where "before" <> "version" order by "at" desc limit ${MAX_CHANGES}
      ) change order by "at"`,
    values: [name, from.toISOString()],
  })
}

/** How many of the workers that lived last are looked through. */
const MAX_WORKERS = 1_000

/**
 * Lists where a version of the host's product began: a worker of it started where none of it lived, and the one that started before
 * was of another. The latest 20, the oldest first; the version that was there first is not among them.
 */
export async function listVersionStarts(reader: JobsReader, from: Date): Promise<VersionChange[]> {
  return await reader.rows<VersionChange>({
    text: `
      with worker as materialized (
        (
          select "id", "version", "startedAt", "heartbeatAt" + interval '${SIGN_COUNTS_MS} milliseconds' as "endedAt"
          from "JobWorker" where "version" is not null order by "heartbeatAt" desc limit ${MAX_WORKERS}
        ) union all (
          select "id", "version", "startedAt", "endedAt" from "JobFormerWorker" order by "endedAt" desc limit ${MAX_WORKERS}
        )
      )
      select * from (
        select "startedAt" as "at", ${boundedText('"version"')} as "version" from (
          select *, lag("version") over (order by "startedAt", "id") as "before" from worker
        ) started
        where "startedAt" >= $1::timestamptz and "before" <> "version" and not exists (
          select from worker other where other."version" = started."version"
            and (other."startedAt", other."id") < (started."startedAt", started."id") and other."endedAt" >= started."startedAt"
        )
        order by "startedAt" desc limit ${MAX_CHANGES}
      ) latest order by "at"`,
    values: [from.toISOString()],
  })
}
