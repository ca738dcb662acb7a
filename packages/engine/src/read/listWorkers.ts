import { isAliveSql } from '../liveness/whoIsLost.ts'
import { boundedJson, boundedText } from './bounded.ts'
import type { Reader } from './reader.ts'

/** Instants are ISO 8601 in UTC. */
export interface ListedWorker {
  id: string
  liveness: 'lock' | 'heartbeat'
  startedAt: string
  /** One that was killed is listed for a day. */
  isAlive: boolean
  /** By its heartbeat, which also one with a lock sends every five seconds. */
  lastSignAt: string
  /** What of its host's product it runs; null where it does not say. */
  version: string | null
  /** How many runs of each job it takes at once; null where it does not say. */
  lanes: unknown
}

/** Of hundreds of jobs. */
const MAX_LANES_BYTES = 64_000

const WORKER = `
  worker."id", worker."liveness"::text, worker."startedAt", worker."heartbeatAt" as "lastSignAt",
  ${boundedText('worker."version"')} as "version", ${boundedJson('worker."lanes"', MAX_LANES_BYTES)} as "lanes",
  ${isAliveSql('worker."id"', 'worker')} as "isAlive"`

/** Those that live first, then by their start, the latest first. */
export async function listWorkers(reader: Reader): Promise<ListedWorker[]> {
  return await reader.rows<ListedWorker>({
    text: `select ${WORKER} from "JobWorker" worker order by "isAlive" desc, worker."startedAt" desc limit 100`,
  })
}

/** Null for one that stopped, or was killed more than a day ago. */
export async function findWorker(reader: Reader, id: string): Promise<ListedWorker | null> {
  const [worker] = await reader.rows<ListedWorker>({
    text: `select ${WORKER} from "JobWorker" worker where worker."id" = $1`,
    values: [id],
  })
  return worker ?? null
}

/** Whether a process lives that could execute work, `pnpm worker:once` included while it runs. */
export async function isAnyWorkerAlive(reader: Reader): Promise<boolean> {
  const [found] = await reader.rows<{ isAlive: boolean }>({
    text: `select exists (
       select from "JobWorker" worker where ${isAliveSql('worker."id"', 'worker')}
     ) as "isAlive"`,
  })
  return found?.isAlive ?? false
}
