import { execFile } from 'node:child_process'
import { appendFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { waitFor } from '@roundsman/testing'
import { openPool, type Queryable } from '../openPool.ts'
import type { RunContext } from '../runCommand.ts'
import { effect, sweep } from './chaosJobs.ts'
import { openServer, type Server } from './openServer.ts'
import { prepareDatabase } from './prepareDatabase.ts'
import { startWorker, type ChaosWorker } from './startWorker.ts'
import { createClient, openPrisma } from '../product.ts'

/** What became of a worker whose machine vanished from the network in the middle of a run. */
export interface VanishResult {
  /** How long until another worker had ended its run. Null: nobody had within the limit. */
  noticedMs: number | null
  /** How long until PostgreSQL had closed the vanished machine's last connection. Null: it had not within the limit. */
  releasedMs: number | null
  /** How much of others' work was carried out meanwhile. */
  effects: number
  /** Rows that the vanished run marked after its link was back. */
  markedAfterwards: number
  isPassed: boolean
}

const run = promisify(execFile)
const NAME = 'roundsman-vanish'
const LINK = { outside: 'rdm-van-out', inside: 'rdm-van-in' }
const NETWORK = { host: '10.233.7.1', machine: '10.233.7.2', prefix: 30 }
const ROWS = 200_000
const ENQUEUE_EVERY_MS = 500
/** 15 s of silence, and as much again for an answer that was on its way, for the round, and for a slow machine. */
const NOTICE_LIMIT_MS = 40_000
/** What a batch held open goes with its transaction, after a minute. */
const RELEASE_LIMIT_MS = 120_000
const PATIENCE_MS = 60_000

/** 'not tried' where such a network cannot be made: it takes root and `ip` (iproute2) on Linux. */
export async function vanishMachine(context: RunContext): Promise<VanishResult | 'not tried'> {
  if (!(await makeMachine())) return 'not tried'
  const opened: (() => Promise<unknown>)[] = [removeMachine]
  try {
    const server = await openServer()
    opened.push(server.close)
    const name = await prepareDatabase(server, { rows: ROWS, startAt: new Date() })
    const port = await openToMachine(server)
    const url = server.url(name)
    const database = openPool({ url, applicationName: 'chaos driver', poolSize: 2 })
    opened.push(database.close)
    await database.query(`update "JobSchedule" set "pausedAt" = now(), "pausedBy" = 'chaos'`)
    const prisma = openPrisma(url, 'chaos driver')
    opened.push(() => prisma.$disconnect())
    const client = createClient(url)
    opened.push(client.stop)
    await client.start()

    context.onProgress('Starting a worker on a machine of its own')
    const start = async (isFarAway: boolean): Promise<ChaosWorker> => {
      const worker = await startWorker({
        server,
        database: name,
        ...(isFarAway && {
          within: ['ip', 'netns', 'exec', NAME],
          databaseUrl: server.url(name, port).replace('127.0.0.1', NETWORK.host),
        }),
        settings: { seed: 1, sweepBatch: 100, sweepPauseMs: 100, drainTimeoutMs: 1_000 },
        slot: isFarAway ? 1 : 0,
        onLine: (line) => context.onEvent(`log ${isFarAway ? 'far' : 'near'} ${line}`),
      })
      opened.push(async () => {
        worker.signal('SIGKILL')
        await worker.exited
        worker.proxy.close()
      })
      await worker.told('isReady')
      return worker
    }
    const far = await start(true)
    await client.enqueueNow(sweep, {})
    const isUnderWay = `select from "JobRun" where "name" = 'sweep' and "details" is not null`
    if (!(await comesTrue(database, isUnderWay, context.signal))) {
      throw new Error('The worker on the other machine did not begin')
    }
    await start(false)

    context.onProgress('Its link goes down')
    await link('down')
    const downAt = performance.now()
    const enqueuing = new AbortController()
    const load = keepEnqueuing(enqueuing.signal, () => client.enqueueNow(effect, { tenant: '' }))
    opened.push(async () => {
      enqueuing.abort()
      await load
    })
    const lost = `"name" = 'sweep' and "workerId" = '${far.workerId}'`
    const sinceDown = async (question: string, limitMs: number): Promise<number | null> => {
      const isTrue = await comesTrue(database, question, context.signal, limitMs)
      return isTrue ? Math.round(performance.now() - downAt) : null
    }
    const noticedMs = await sinceDown(
      `select from "JobRun" where ${lost} and "endedAt" is not null`,
      NOTICE_LIMIT_MS,
    )
    context.onProgress(
      `Its run was ${noticedMs === null ? 'not ended' : `ended after ${noticedMs} ms`}`,
    )
    const releasedMs = await sinceDown(
      `select where not exists (select from pg_stat_activity where client_addr = '${NETWORK.machine}')`,
      RELEASE_LIMIT_MS,
    )
    context.onProgress(
      `Its last connection was ${releasedMs === null ? 'not let go' : `let go after ${releasedMs} ms`}`,
    )

    const marked = async () =>
      await numberOf(
        database,
        `select count(*)::int as n from "ChaosRow" join "JobRun" run on run."id" = "sweptBy" where ${lost}`,
      )
    const before = await marked()
    await link('up')
    await pause(5_000)
    enqueuing.abort()
    await load
    const markedAfterwards = (await marked()) - before
    const effects = await numberOf(database, 'select count(*)::int as n from "ChaosEffect"')
    return {
      noticedMs,
      releasedMs,
      effects,
      markedAfterwards,
      isPassed: noticedMs !== null && releasedMs !== null && markedAfterwards === 0 && effects > 0,
    }
  } finally {
    for (const close of opened.toReversed()) await close()
  }
}

/** Makes a network namespace with a cable to this machine. */
async function makeMachine(): Promise<boolean> {
  const { outside, inside } = LINK
  const { host, machine, prefix } = NETWORK
  const within = ['netns', 'exec', NAME, 'ip']
  try {
    await run('ip', ['netns', 'add', NAME])
  } catch {
    return false
  }
  try {
    await run('ip', ['link', 'add', outside, 'type', 'veth', 'peer', 'name', inside])
    await run('ip', ['link', 'set', inside, 'netns', NAME])
    await run('ip', ['address', 'add', `${host}/${prefix}`, 'dev', outside])
    await run('ip', ['link', 'set', outside, 'up'])
    await run('ip', [...within, 'address', 'add', `${machine}/${prefix}`, 'dev', inside])
    await run('ip', [...within, 'link', 'set', inside, 'up'])
    return true
  } catch {
    await removeMachine()
    return false
  }
}

async function removeMachine(): Promise<void> {
  // Deleting the namespace deletes its end of the cable, and so the other.
  await run('ip', ['netns', 'delete', NAME]).catch(() => undefined)
}

/** Switches the machine's end of the cable: this side goes on seeing the cable, and nobody answers. */
async function link(state: 'up' | 'down'): Promise<void> {
  await run('ip', ['netns', 'exec', NAME, 'ip', 'link', 'set', LINK.inside, state])
}

/** Lets the machine in. Returns the port at which the server listens there. */
async function openToMachine(server: Server): Promise<number> {
  const url = server.url('postgres')
  const admin = openPool({ url, applicationName: 'chaos driver', poolSize: 1 })
  try {
    const { rows } = await admin.query<{ file: string; port: number }>(
      `select current_setting('hba_file') as file, inet_server_port() as port`,
    )
    const { file = '', port = 0 } = rows[0] ?? {}
    const { host, machine } = NETWORK
    await appendFile(file, `host all all ${machine}/32 scram-sha-256\n`)
    await admin.query(`alter system set listen_addresses = '127.0.0.1,${host}'`)
    await server.restart('fast', 0)
    return port
  } finally {
    await admin.close()
  }
}

async function keepEnqueuing(signal: AbortSignal, enqueue: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await enqueue().catch(() => undefined)
    await pause(ENQUEUE_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** Whether the question returns a row in time. */
async function comesTrue(
  database: Queryable,
  question: string,
  signal: AbortSignal,
  timeoutMs = PATIENCE_MS,
): Promise<boolean> {
  const isTrue = async () => (await database.query(question)).rows.length > 0
  const found = await waitFor(isTrue, { timeoutMs, signal }).catch(() => false)
  signal.throwIfAborted()
  return found
}

async function numberOf(database: Queryable, question: string): Promise<number> {
  const { rows } = await database.query<{ n: number }>(question)
  return rows[0]?.n ?? 0
}
