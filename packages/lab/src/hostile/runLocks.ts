import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { getManyWork, listJobRuns } from '@roundsman/engine/client'
import type { PayloadOf } from '@roundsman/engine'
import {
  foreignLocks,
  listEngineTables,
  takeForeignLocks,
  waitFor,
  type ForeignLocks,
} from '@roundsman/testing'
import fc from 'fast-check'
import pg from 'pg'
import { endMember, startMember, type Member } from '../createFleet.ts'
import { createRandom } from '../createRandom.ts'
import type { LockSettings } from './lockProcess.ts'
import { lockedTick, lockedWork, neighbourTick } from './lockedWork.ts'
import type { DatabasePlace, Draws, PartResult } from './parts.ts'
import { createClient, migrateEngine } from '../product.ts'

type Payload = PayloadOf<typeof lockedWork>

const LOCK_PROCESS = join(import.meta.dirname, 'lockProcess.ts')
const MEMBERS = 3
/** So many that several of them end in one statement of a worker's. */
const KEYS = Array.from({ length: 20 }, (_, at) => `key ${at}`) as [string, ...string[]]
const LONGEST_MS = 40_000
/** Rows are held until other work has ended beside them. It takes a second or two, and on a busy machine longer. */
const NEIGHBOURS_WITHIN_MS = 60_000
/** By then a burst is under way on all workers, also on a busy machine, and some of it is replaced. */
const BURST_MS = 8_000
/** What a killed worker had is tried again within a minute. */
const QUIET_WITHIN_MS = 120_000
const BY = { actor: 'somebody', reason: 'the locks' }
const DEADLOCK = '40P01'

/**
 * Has another session lock rows and tables of the engine, one draw after the other, while workers carry out, start, drain and
 * are killed, and people and programs enqueue, replace, cancel and migrate. When the locks are gone, all has to have ended as told.
 */
export async function runLocks(
  { seed, count: rounds }: Draws,
  { databaseUrl, signal }: DatabasePlace,
): Promise<PartResult> {
  const random = createRandom(seed)
  const problems: string[] = []
  /** What ours refused while something was locked. */
  let refused = 0
  /** How each piece has to end. Null: in any way, since somebody cancels or replaces it. */
  const ends = new Map<string, 'completed' | 'failed' | null>()
  const holders = new Map<string, string>()
  const members: Member[] = []
  const settings = { databaseUrl } satisfies LockSettings
  const start = async () => {
    const member = startMember(LOCK_PROCESS, 0, { settings, signal })
    await member.told('isReady')
    members.push(member)
  }
  const migrateAgain = () => migrateEngine(databaseUrl)
  await migrateAgain()
  const pool = new pg.Pool({ connectionString: databaseUrl, application_name: 'host', max: 20 })
  const foreign = new pg.Client({ connectionString: databaseUrl, application_name: 'foreign' })
  const client = createClient(databaseUrl)
  try {
    await foreign.connect()
    await pool.query('create table "Call" ("runId" uuid not null)')
    await client.start()
    await Promise.all(Array.from({ length: MEMBERS }, start))
    const tables = await listEngineTables(pool)
    for (const [round, drawn] of fc
      .sample(foreignLocks(LONGEST_MS), { seed, numRuns: rounds })
      .entries()) {
      signal.throwIfAborted()
      if (round % 10 === 0) await takeBurst()
      else await takeRound(drawn, tables)
      if (problems.length > 0) break
    }
    await migrateAgain()
    return {
      problems,
      figures: `${rounds} times locked, ${ends.size} pieces of work, ${refused} calls refused meanwhile`,
    }
  } finally {
    await Promise.all(members.map((member) => endMember(member, 'SIGKILL')))
    await foreign.end()
    await client.stop()
    await pool.end()
  }

  async function takeRound(drawn: ForeignLocks, tables: readonly string[]): Promise<void> {
    await Promise.all([enqueueSome(), enqueueKeyed()])
    await pause(random.integer(0, 500), undefined, { signal })
    const { heldMs } = drawn
    const hasNeighbours = drawn.whole === null && random.chance(0.2)
    /** A host that waits for one of ours must not be the one that PostgreSQL ends. A table that is locked may be in use by ours. */
    const refuse = (what: string, error: unknown) => {
      const { code = '', message } = error as { code?: string; message: string }
      if (code === DEADLOCK && drawn.whole === null) problems.push(`${what}: ${message}`)
      refused++
    }
    const attempt = (what: string, work: () => Promise<unknown>) =>
      work().catch((error: unknown) => refuse(what, error))
    let taken = ''
    await foreign.query('begin')
    await attempt('foreign', async () => {
      taken = await takeForeignLocks(foreign, tables, drawn)
    })
    const doings = [attempt('enqueue', enqueueSome), attempt('replace', replaceMany)]
    if (random.chance(0.5)) doings.push(attempt('cancel', cancelSome))
    if (random.chance(0.3)) doings.push(attempt('migrate', migrateAgain))
    if (random.chance(0.3) && !hasNeighbours)
      doings.push(attempt('kill', () => exchange('SIGKILL')))
    const neighbours: string[] = []
    let hasStarted = false
    if (hasNeighbours || random.chance(0.3)) {
      const exchanged = attempt('stop', () => exchange('SIGTERM'))
      doings.push(exchanged.then(() => void (hasStarted = true)))
    }
    const innocent = { endAt: 0, fails: false, hasBatch: true }
    const addNeighbour = async () => void neighbours.push(await enqueue(innocent, null))
    for (let left = hasNeighbours ? 5 : 0; left > 0; left--)
      doings.push(attempt('enqueue', addNeighbour))
    await pause(heldMs, undefined, { signal })
    const goesOn = async () => hasStarted && (await findOpen(neighbours)).length === 0
    if (hasNeighbours) await demand('work, or a worker that starts', goesOn)
    await foreign.query('rollback')
    const isOver = await settles(Promise.all(doings))
    if (!isOver) problems.push('what was done meanwhile does not end')
    else await judge()
    if (problems.length > 0) problems.push(`${heldMs} ms: ${taken}`)
  }

  /**
   * Somebody replaces a few pieces of a burst, and holds a schedule, in a transaction that stays open while all of the burst
   * ends at one instant, or loses a worker before. What nobody holds goes on meanwhile.
   */
  async function takeBurst(): Promise<void> {
    const endAt = Date.now() + BURST_MS
    const innocent = { endAt, fails: false, hasBatch: false }
    const keys = await Promise.all(
      KEYS.map(async (key) => ({ key, id: await enqueue(innocent, key) })),
    )
    const beside = await Promise.all(KEYS.map(() => enqueue(innocent, null)))
    const all = [...beside, ...keys.map(({ id }) => id)]
    await waitFor(async () => (await findOpen(all, ['waiting'])).length === 0)
    const held = random.integer(1, 5)
    const isKilled = random.chance(0.5)
    await foreign.query('begin')
    await foreign.query(`select from "JobSchedule" where "name" = $1 for update`, [lockedTick.name])
    const heldAt = new Date()
    for (const { key } of keys.slice(0, held)) await enqueue(innocent, key, foreign)
    const exchanged = isKilled ? exchange('SIGKILL') : undefined
    const free = [...beside, ...keys.slice(held).map(({ id }) => id)]
    await demand('work that ends', async () => (await findOpen(free)).length === 0)
    const hasTick = async () =>
      (await pool.query(TICK_SINCE_SQL, [neighbourTick.name, heldAt])).rowCount === 1
    await demand('a schedule', hasTick)
    await foreign.query('commit')
    await exchanged
    await judge()
    if (problems.length > 0) problems.push(`a burst, ${isKilled ? 'with' : 'without'} a kill`)
  }

  async function enqueue(
    payload: Payload,
    uniqueKey: string | null,
    tx?: pg.PoolClient | pg.Client,
  ) {
    const options = uniqueKey === null ? {} : { uniqueKey, onConflict: 'replace' as const }
    const { workId } = await (tx === undefined
      ? client.enqueueNow(lockedWork, payload, options)
      : client.enqueue(tx, lockedWork, payload, options))
    const before = uniqueKey === null ? undefined : holders.get(uniqueKey)
    if (before !== undefined) ends.set(before, null)
    if (uniqueKey !== null) holders.set(uniqueKey, workId)
    ends.set(workId, ends.has(workId) ? null : payload.fails ? 'failed' : 'completed')
    return workId
  }

  function drawPayload(): Payload {
    return {
      endAt: Date.now() + random.pick([0, 0, 50, 500, 3_000]),
      fails: random.chance(0.2),
      hasBatch: random.chance(0.3),
    }
  }

  async function enqueueSome(): Promise<void> {
    for (let left = random.integer(5, 15); left > 0; left--)
      await enqueue(drawPayload(), random.chance(0.2) ? random.pick(KEYS) : null)
  }

  /** Work of each key, which runs at once, and ends at once. */
  async function enqueueKeyed(): Promise<void> {
    const endAt = Date.now() + random.pick([500, 1_000, 2_000])
    await Promise.all(KEYS.map((key) => enqueue({ ...drawPayload(), endAt }, key)))
  }

  /** One, and after a while those beside it, which may have ended by then, and wait for it in one statement. */
  async function replaceMany(): Promise<void> {
    const tx = await pool.connect()
    const from = random.integer(0, KEYS.length - 1)
    const [first, ...others] = [...KEYS.slice(from), ...KEYS.slice(0, from)]
    try {
      await tx.query('begin')
      await enqueue(drawPayload(), first ?? null, tx)
      await pause(random.integer(0, 4_000))
      for (const key of others) await enqueue(drawPayload(), key, tx)
      await tx.query('commit')
      tx.release()
    } catch (error) {
      tx.release(true)
      throw error
    }
  }

  async function cancelSome(): Promise<void> {
    const { runs } = await listJobRuns(client.reader, { limit: 3, status: 'running' })
    for (const { id, workId } of runs) {
      if (workId !== null) ends.set(workId, null)
      await client.cancelRun(id, BY)
    }
  }

  /** Like a supervisor: what ends as it starts is started again. */
  async function exchange(how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const member = members.shift()
    if (member) await endMember(member, how)
    await waitFor(async () => (await start(), true), {
      timeoutMs: QUIET_WITHIN_MS,
      intervalMs: 500,
    })
  }

  /** It has to come to this while another session holds what it holds. */
  async function demand(who: string, isSo: () => Promise<boolean>): Promise<void> {
    await waitFor(isSo, { timeoutMs: NEIGHBOURS_WITHIN_MS }).catch(() =>
      problems.push(`${who} waits for the locks of others`),
    )
  }

  async function settles(work: Promise<unknown>): Promise<boolean> {
    return await Promise.race([work.then(() => true), pause(QUIET_WITHIN_MS, false, { signal })])
  }

  async function findOpen(
    ids: readonly string[],
    kinds: readonly string[] = ['waiting', 'running'],
  ): Promise<string[]> {
    const states = await getManyWork(client.reader, lockedWork, ids)
    return ids.filter((id) => kinds.includes(states.get(id)?.kind ?? ''))
  }

  async function judge(): Promise<void> {
    const ids = [...ends.keys()]
    const isQuiet = async () => (await findOpen(ids)).length === 0
    const areReady = () => members.every((member) => member.isReady)
    await waitFor(isQuiet, { timeoutMs: QUIET_WITHIN_MS }).catch(async () =>
      problems.push(`${(await findOpen(ids)).length} pieces do not end`),
    )
    await waitFor(areReady).catch(() => problems.push('a worker is not ready again'))
    const states = await getManyWork(client.reader, lockedWork, ids)
    for (const [id, end] of ends) {
      const { kind } = states.get(id) ?? { kind: 'unknown' }
      if (end !== null && kind !== end) problems.push(`${id} has ${kind}, and should have ${end}`)
    }
    const { rows } = await pool.query<{ id: string; what: string }>(WRONG_CALLS_SQL)
    for (const { id, what } of rows) problems.push(`${id} ${what}`)
  }
}

const TICK_SINCE_SQL = 'select from "JobTick" where "name" = $1 and "scheduledFor" > $2 limit 1'

const WRONG_CALLS_SQL = `
  select call."runId" as "id", 'was called, and has no end on record' as "what"
  from "Call" call left join "JobRunAll" run on run."id" = call."runId" where run."endedAt" is null
  union all
  select "runId", 'was called twice' from "Call" group by 1 having count(*) > 1
  union all
  select run."workId", 'has succeeded twice' from "JobRunAll" run
  where run."status" = 'success' group by 1 having count(*) > 1`
