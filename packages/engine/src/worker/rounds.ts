import type { Logger } from '../job/logger.ts'
import type { Job } from '../job/defineJob.ts'
import type { Observers } from '../run/combineObservers.ts'
import { ownRunsSql, type Cancellations, type OwnRun } from '../run/cancellations.ts'
import { compactClaims, dropClosedClaims } from '../queue/claimWork.ts'
import { LONG, type Connection, type Database } from '../database/database.ts'
import { mendPlaces } from '../queue/mendPlaces.ts'
import { bind, prepared, type NamedStatement } from '../database/prepared.ts'
import { hasSqlState, LOCK_NOT_AVAILABLE } from '../database/sqlState.ts'
import { lookValues, placeDueSql, SEEN, type LookRequest, type Seen } from '../queue/looks.ts'
import { dropUnsetKeys, giveEmptyKeys, rulesSql, type RulesByJob } from '../queue/limitSql.ts'
import type { Floors } from '../work/floors.ts'
import type { Holdings } from '../work/holdings.ts'
import type { Limits } from '../work/limits.ts'
import { dropOrphanedPayloads, type PayloadPosition } from '../queue/orphanedPayloads.ts'
import { freeUniqueKeys, type KeyPosition } from '../queue/uniqueKeys.ts'
import {
  endStaleClaims,
  giveBackStrays,
  RESCUE_GRACE_MS,
  rescueClaims,
} from '../liveness/rescue.ts'
import { beatSql, type Session } from '../liveness/session.ts'
import { HAS_FRESH } from '../queue/signals.ts'
import { ticksSql, toDefinitions, type TicksSeen } from '../tick/defineSchedules.ts'
import { lostClaimsSql, type LostClaim } from '../queue/lostClaims.ts'

export interface Rounds {
  start(): void
  /** Makes no more rounds. Resolves once the one under way and its housekeeping are over. */
  stop(): Promise<void>
}

/** How often a worker looks for lost runs and for work that sent no notification. */
const ROUND_MS = 1_000
/** How long a part waits for a table that another session has locked. */
const PART_LOCK_TIMEOUT_MS = 100
/** Every tenth round looks for rare things: strays, expired claims, claims of workers without a row, keys without an owner. */
const ROUNDS_PER_SEARCH = 10
/** After a deploy, limits loosen within this many rounds. */
const ROUNDS_PER_SETTLING = 3
/** Under an old snapshot a look from the start may take tens of milliseconds: a thousandth of the time. */
const ROUNDS_PER_START = 100
/** The most pieces among which it looks for those without a key. */
const FIRST_WORK = 20_000

/** Does a worker's housekeeping once a second, beside its runs, while others can see that it lives. */
export function createRounds(options: {
  session: Session
  database: Database
  floors: Floors
  holdings: Pick<Holdings, 'has' | 'lacks'>
  limits: Pick<Limits, 'note'>
  cancellations: Pick<Cancellations, 'watched' | 'note'>
  workerId: string
  /** The jobs whose work this worker takes. */
  jobs: readonly Job[]
  /** The jobs whose ticks this worker decides. */
  scheduled: readonly Job[]
  /** Default: a second. */
  roundMs?: number | undefined
  log: Logger
  now: () => Date
  observers?: Observers | undefined
  /** Called for a job that may have work to take, also such as runs alone. `isNews`: some of it is ready since the last round. */
  onReady: (name: string, isNews: boolean) => void
  onSuspect: (name: string) => void
  /** Writes what the living workers define into the rows of limits. */
  settleLimits: () => Promise<void>
  onTicks: (seen: TicksSeen) => void
  /** Called when another server answers than before. */
  onOtherServer: () => void
  /** Called when signals or waits may have met. */
  onFresh: () => void
  /** Called when this worker has ended a run of a dead worker, or one that went on beyond every limit. */
  onEnded: (run: { id: string; name: string }) => void
}): Rounds {
  const { session, database, floors, workerId, jobs, log, now, observers, onReady } = options
  const { roundMs = ROUND_MS } = options
  const retryOf = new Map(jobs.map(({ name, retry }) => [name, retry]))
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> = Promise.resolve()
  let housekeeping: Promise<void> | null = null
  /** The parts that wait for a lock of another session. */
  const leftOut = new Set<Part>()
  let roundsMade = 0
  let looks = 0
  let lastKey: KeyPosition | null = null
  let lastPayload: PayloadPosition | null = null
  let server: string | undefined
  /** Another server has answered, or the last look for strays has found some. */
  let hasStrays = false
  const expiredSince = new Map<string, number>()
  let isStopped = false

  async function makeRound(): Promise<void> {
    const connectedForMs = session.connectedForMs()
    if (connectedForMs === null) return
    if (++looks % ROUNDS_PER_START === 0) floors.forget()
    const requests = jobs.map(({ name }) => floors.look(name))
    const runIds = options.cancellations.watched()
    const seen = await read([workerId, requests, options.scheduled, runIds])
    if (seen.ticks) options.onTicks(seen.ticks)
    if (seen.hasFresh) options.onFresh()
    if (seen.runs) options.cancellations.note(runIds, seen.runs)
    if (seen.rules) options.limits.note(seen.rules)
    if (seen.isIdle) hasStrays = false
    if (hasWork(seen)) {
      if (seen.server !== (server ??= seen.server)) {
        await attempt(() => database.transaction(mendPlaces, LONG))
        floors.forget()
        hasStrays = true
        options.onOtherServer()
      }
      server = seen.server
      for (const request of requests)
        floors.move(request, seen, seen.firsts.get(request.name) ?? new Map())
      for (const name of seen.ready) onReady(name, seen.placed.includes(name))
      for (const name of seen.suspects) options.onSuspect(name)
    }
    housekeeping ??= attempt(() => keepHouse(seen, connectedForMs)).finally(
      () => (housekeeping = null),
    )
  }

  /** While a table is locked, the answer lacks the parts that need it. */
  async function read(asked: Asked): Promise<Partial<Round>> {
    try {
      const seen = await readRound(session, ...asked)
      leftOut.clear()
      return seen
    } catch (error) {
      if (!hasSqlState(error, LOCK_NOT_AVAILABLE)) throw error
    }
    const seen: Partial<Round> = {}
    for (const part of PARTS) {
      try {
        const ask = (tx: Connection) => readColumns(tx, partOf(part), ...asked)
        Object.assign(
          seen,
          await database.transaction(ask, { lockTimeoutMs: PART_LOCK_TIMEOUT_MS }),
        )
        leftOut.delete(part)
      } catch (error) {
        if (!hasSqlState(error, LOCK_NOT_AVAILABLE)) throw error
        if (!leftOut.has(part))
          log.warn(
            { err: error, part },
            'another session has locked a table: rounds leave a part out',
          )
        leftOut.add(part)
      }
    }
    return seen
  }

  /** Rescues and clean-ups, which may wait for locks. Rounds go on meanwhile. */
  async function keepHouse(
    { lost = [], isIdle = false, isListed = true, rules = {} }: Partial<Round>,
    connectedForMs: number,
  ): Promise<void> {
    if (!isListed) await attempt(() => session.signUp())
    const rescue = { database, log, now, observers }
    if (!isIdle && (hasStrays || roundsMade % ROUNDS_PER_SEARCH === 0))
      await attempt(async () => {
        const { holdings } = options
        const strays = await giveBackStrays({ ...rescue, workerId, holdings })
        hasStrays = strays.areLeft
        for (const run of strays.ended) noteEnded(run)
      })
    if (connectedForMs < RESCUE_GRACE_MS) return
    await attempt(async () => {
      for (const run of await rescueClaims(rescue, lost)) noteEnded(run)
    })
    if (roundsMade % ROUNDS_PER_SETTLING === 0) await attempt(options.settleLimits)
    if (roundsMade++ % ROUNDS_PER_SEARCH !== 0) return
    const keyed = Object.entries(rules).flatMap(([name, { order }]) =>
      order === null ? [] : [name],
    )
    const isForAll = roundsMade % ROUNDS_PER_START === 1
    if (keyed.length > 0) {
      await attempt(() => giveEmptyKeys(database, keyed, isForAll ? null : FIRST_WORK))
      await attempt(() => dropUnsetKeys(database))
    }
    await attempt(async () => {
      lastKey = await freeUniqueKeys(database, lastKey)
    })
    if (isForAll) {
      await attempt(async () => {
        lastPayload = await dropOrphanedPayloads(database, lastPayload)
      })
    }
    if (isIdle) return
    await attempt(() => dropClosedClaims(database, workerId))
    await attempt(() => compactClaims(database, workerId))
    const stale = { ...rescue, workerId, retryOf, expiredSince }
    for (const run of await endStaleClaims(stale)) noteEnded(run)
  }

  /** One part that fails holds no other back. */
  async function attempt(part: () => Promise<unknown>): Promise<void> {
    try {
      await part()
    } catch (error) {
      log.warn({ err: error }, 'round of rescue and heartbeat failed, trying again')
    }
  }

  /** A run that a round has ended no longer occupies its job, and its work may be ready again. */
  function noteEnded(run: { id: string; name: string }): void {
    options.onEnded(run)
    onReady(run.name, true)
  }

  function schedule(afterMs: number): void {
    timer = setTimeout(() => {
      round = attempt(makeRound).finally(() => {
        if (!isStopped) schedule(roundMs)
      })
    }, afterMs)
  }

  return {
    // Workers that start at one instant make their rounds at different ones.
    start: () => schedule(Math.random() * roundMs),
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await round
      await housekeeping
    },
  }
}

type Asked = [
  workerId: string,
  requests: readonly LookRequest[],
  /** The jobs whose ticks it decides. */
  scheduled: readonly Job[],
  /** The runs to check: are they still this worker's, and are they cancelled? */
  runIds?: readonly string[],
]

/** The answer to a round's statement. */
interface Round extends Work {
  ticks: TicksSeen
  /** Whether signals or waits were not looked at yet. */
  hasFresh: boolean
  /** Of the jobs under limits. */
  rules: RulesByJob
  /** Claims whose workers seem to be dead. */
  lost: LostClaim[]
  /** Whether no worker holds anything. */
  isIdle: boolean
  /** Whether the list of workers has this one. */
  isListed: boolean
  /** Null: the worker has no runs under way. */
  runs: OwnRun[] | null
}

interface Work extends Omit<Seen, 'firsts' | 'paused'> {
  /** The jobs with work to take now. */
  ready: string[]
  /** By job and rank, the place of the first work behind the floor, for each rank that has a floor. */
  firsts: Map<string, Map<number, string | null>>
}

const hasWork = (seen: Partial<Round>): seen is Partial<Round> & Work => seen.ready !== undefined

/** The columns of a round's statement, by part. */
const COLUMNS = {
  ticks: `${ticksSql(':definitions')} as "ticks"`,
  work: SEEN,
  signals: `${HAS_FRESH} as "hasFresh"`,
  limits: `${rulesSql(':names')} as "rules"`,
  'lost claims': `(select coalesce(jsonb_agg(lost), '[]') from (${lostClaimsSql(':workerId')}) lost) as "lost",
    not exists (select from "JobClaim") as "isIdle", exists (select from "JobWorker" where "id" = :workerId) as "isListed"`,
  cancellations: `case when cardinality(:runIds::uuid[]) > 0 then ${ownRunsSql(':workerId', ':runIds')} end as "runs"`,
}
type Part = keyof typeof COLUMNS
const PARTS = Object.keys(COLUMNS) as Part[]

/** One statement, the only one that an idle worker sends each second. It writes the worker's heartbeat. */
const ROUND = prepared(
  'roundsman_round',
  `with beat as (${beatSql(':workerId')}), ${placeDueSql(':names')} select ${Object.values(COLUMNS).join(', ')}`,
)
const partOf = (part: Part) =>
  prepared(
    `roundsman_round_${part}`,
    `${part === 'work' ? `with ${placeDueSql(':names')}` : ''} select ${COLUMNS[part]}`,
  )

/** Reads what a round has to do, and gives places to due work, in one statement. */
export async function readRound(
  connection: Pick<Session, 'query'>,
  ...asked: Asked
): Promise<Round> {
  return (await readColumns(connection, ROUND, ...asked)) as Round
}

async function readColumns(
  connection: Pick<Session, 'query'>,
  statement: NamedStatement,
  ...[workerId, requests, scheduled, runIds = []]: Asked
): Promise<Partial<Round>> {
  const { values, ranges } = lookValues(requests)
  const definitions = toDefinitions(scheduled)
  const { rows } = await connection.query<Partial<Omit<Round, keyof Work> & Seen>>(
    statement,
    bind(statement, { ...values, workerId, definitions, runIds }),
  )
  // A statement without a table answers with one row.
  const { firsts: places, ...row } = rows[0] ?? {}
  if (places === undefined) return row
  const { placed = [], paused = [], suspects = [] } = row
  const firsts = new Map(requests.map(({ name }) => [name, new Map<number, string | null>()]))
  const ready = new Set(placed)
  for (const [at, { request, rank, end }] of ranges.entries()) {
    const { name } = requests[request - 1] as LookRequest
    const first = places[at] ?? null
    if (first !== null) ready.add(name)
    // This includes ranges of one rank between two floors. floors.move skips those.
    if (rank === end) firsts.get(name)?.set(rank, first)
  }
  const isOpen = (name: string) => !paused.includes(name)
  return { ...row, firsts, ready: [...ready].filter(isOpen), suspects: suspects.filter(isOpen) }
}
