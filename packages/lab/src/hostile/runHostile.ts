import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { makeServerFolder, waitFor } from '@roundsman/testing'
import { openPool, type Queryable } from '../openPool.ts'
import { checkHostile, type HostileFigures } from './checks/checkHostile.ts'
import { createHostileFleet, type FleetHistory } from './createHostileFleet.ts'
import { tryDefinitions } from './drawDefinitions.ts'
import {
  enqueueDeadly,
  enqueueInnocents,
  enqueueOutcomes,
  type Enqueued,
  type LoadContext,
} from './enqueueLoad.ts'
import { hostileSchedules, INNOCENTS } from './hostileJobs.ts'
import { createClient, migrateAll } from '../product.ts'
import { increase } from '../markdown.ts'
import type { RunContext } from '../runCommand.ts'

export interface HostileOptions {
  /** Names the run: what is drawn depends only on it. */
  seed: number
  /** How many drawn ways in which handlers end. */
  outcomes: number
  /** How many ways that end their process, on top of those. */
  deadly: number
}

export interface HostileContext extends RunContext {
  /** A database that is used for nothing else. */
  databaseUrl: string
}

export interface HostileResult extends HostileFigures {
  options: HostileOptions
  ranAt: Date
  totalMs: number
  /** How many of each kind were enqueued. */
  kinds: Map<string, number>
  innocents: number
  refused: number
  fleet: FleetHistory
}

const SCHEDULED = hostileSchedules.map(({ name }) => name)
const QUIET_PATIENCE_MS = 120_000
const DEFINITIONS_SHARE = 0.2

/** Draws outcomes, has workers live with them beside innocent work, and checks whether all is right. */
export async function runHostile(
  options: HostileOptions,
  context: HostileContext,
): Promise<HostileResult> {
  const { seed, outcomes } = options
  const { databaseUrl, signal, onProgress, onEvent } = context
  const ranAt = new Date()
  const opened: (() => Promise<unknown>)[] = []
  const definitions = tryDefinitions(seed, Math.ceil(outcomes * DEFINITIONS_SHARE))
  for (const { options: given, what } of definitions.problems)
    onEvent(`definition ${what} ${given}`)
  try {
    const temporary = await makeServerFolder('roundsman-hostile-', tmpdir())
    opened.push(() => rm(temporary, { recursive: true, force: true }))
    await migrateAll(databaseUrl)
    const database = openPool({ url: databaseUrl, applicationName: 'hostile driver' })
    opened.push(database.close)
    await database.query(
      `create table "HostileEffect" ("workId" uuid, "step" int, "runId" uuid not null, primary key ("workId", "step"))`,
    )
    const client = createClient(databaseUrl)
    opened.push(client.stop)
    await client.start()
    const marker = `hostile-${randomBytes(8).toString('hex')}`
    const fleet = createHostileFleet({
      settings: { databaseUrl, seed },
      env: { TMPDIR: temporary, HOSTILE_RUN: marker },
      onEvent,
    })
    opened.push(fleet.destroy)
    await fleet.start()
    onProgress('The workers are ready')

    const enqueued = new Map<string, Enqueued>()
    const load: LoadContext = { client, database, seed, signal, enqueued }
    const enough = new AbortController()
    const innocents = enqueueInnocents(load, AbortSignal.any([enough.signal, signal]))
    // Awaited below, which reports a failure.
    innocents.catch(() => undefined)
    opened.push(async () => {
      enough.abort()
      await innocents.catch(() => undefined)
    })
    const from = Date.now()
    const refused = await enqueueOutcomes(load, {
      outcomes,
      onProgress: (done) => {
        if (done % 5_000 < 250)
          onProgress(`${done} outcomes, ${fleet.history.crashes.length} crashes`)
      },
    })
    await untilQuiet(database, signal)
    const deadlyFrom = Date.now()
    onProgress(
      `${outcomes} outcomes are over, ${fleet.history.crashes.length} crashes; now those that end a process`,
    )
    let lastDone = -1
    await enqueueDeadly(load, {
      count: options.deadly,
      onProgress(done) {
        if (done === lastDone) return
        lastDone = done
        onProgress(`${done} deadly ones, ${fleet.history.crashes.length} crashes`)
      },
    })
    enough.abort()
    await innocents
    const isQuiet = await untilQuiet(database, signal, SCHEDULED)
    const to = Date.now()
    await fleet.stop()
    onProgress('Checking')
    const evidence = { enqueued, isQuiet, from, deadlyFrom, to, temporary, marker, definitions }
    const figures = await checkHostile(database, { ...evidence, fleet: fleet.history })
    const kinds = new Map<string, number>()
    for (const { kind } of enqueued.values()) {
      if (kind !== null) increase(kinds, kind)
    }
    return {
      ...figures,
      options,
      ranAt,
      totalMs: Date.now() - ranAt.getTime(),
      kinds,
      innocents: [...enqueued.values()].filter(({ kind }) => kind === null).length,
      refused,
      fleet: fleet.history,
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    for (const close of opened.toReversed()) await close()
  }
}

/** Waits until nothing drawn waits or runs. Resolves to false when that takes too long. */
async function untilQuiet(
  database: Queryable,
  signal: AbortSignal,
  goesOn: readonly string[] = [...INNOCENTS, ...SCHEDULED],
): Promise<boolean> {
  const isQuiet = async () =>
    (await database.query<{ isQuiet: boolean }>(QUIET_SQL, [goesOn])).rows[0]?.isQuiet
  const options = { timeoutMs: QUIET_PATIENCE_MS, intervalMs: 250, signal }
  const found = await waitFor(isQuiet, options).catch(() => false)
  signal.throwIfAborted()
  return found
}

/** Jobs that go on meanwhile count only when their work is older than 6 s. */
const QUIET_SQL = `
  select not exists (
    select from "JobWork"
    where "dueAt" < now() + interval '1 hour'
      and ("enqueuedAt" < now() - interval '6 seconds' or "name" <> all($1))
  ) and not exists (
    select from "JobRunAll"
    where "status" = 'running' and ("createdAt" < now() - interval '6 seconds' or "name" <> all($1))
  ) and not exists (select from "JobUnique" where "name" <> all($1)) as "isQuiet"`
