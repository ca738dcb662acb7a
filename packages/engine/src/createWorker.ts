import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { createAlertWatcher, type AlertOptions } from './alerts/createAlertWatcher.ts'
import { createBulkCarrier } from './control/carryOnBulk.ts'
import { checkRetention } from './control/pruneJobRuns.ts'
import { isScheduled, type Job } from './job/defineJob.ts'
import { JobError } from './job/jobError.ts'
import type { HostClient } from './job/hostTypes.ts'
import { checkParts } from './job/argument.ts'
import { createRounds } from './liveness/rounds.ts'
import { combineObservers } from './run/combineObservers.ts'
import { DRAINED, WORKER_LOST } from './run/performRun.ts'
import { createSettler } from './run/settler.ts'
import { recogniseHost } from './store/callersTransaction.ts'
import { WORK_CHANNEL } from './store/channels.ts'
import { containedLog } from './store/containedLog.ts'
import { readRules } from './store/limitSql.ts'
import { createSchema } from './store/schema.ts'
import { settlesWithin } from './store/settlesWithin.ts'
import { checkTables } from './store/tablesState.ts'
import { tryUntilFree } from './store/takeLocks.ts'
import { boundedClock } from './tick/boundedClock.ts'
import { createKeyedScheduler } from './tick/keyedScheduler.ts'
import { createScheduler } from './tick/scheduler.ts'
import { createClaimer } from './work/claimer.ts'
import { createFloors } from './work/floors.ts'
import { createLimits } from './work/limits.ts'
import { createLanes } from './work/lanes.ts'
import { createRoom } from './work/room.ts'
import { createTurns } from './work/turns.ts'
import { chooseJobs, countLanes } from './worker/chooseJobs.ts'
import { createPerformer } from './worker/createPerformer.ts'
import { CLOSE_TIMEOUT_MS, drainWorker } from './worker/drainWorker.ts'
import { guardProcess } from './worker/guardProcess.ts'
import { openPostgres } from './worker/openPostgres.ts'
import { createLimitRegistry } from './worker/registerLimits.ts'
import { WORKER_CHECKS, type Worker, type WorkerOptions } from './worker/workerOptions.ts'

/**
 * How long lanes take no new work so that a suspect, which is work that has lost several workers, can run alone. If other
 * runs have not ended by then, the worker leaves the suspect to other workers.
 */
const ALONE_WAIT_MS = 30_000
const DRAIN_TIMEOUT_MS = 25_000
const STOP = { drainTimeoutMs: WORKER_CHECKS.drainTimeoutMs }

/**
 * Makes a worker: it schedules the jobs, takes their work and carries it out. Nothing happens before `start()`.
 * @throws ArgumentError when a setting is out of its range, the client is of no known library, a job is isolated and
 * `handlersModule` is missing or invalid, there is a handler for one of the engine's own jobs, or `only` names an unknown
 * job
 */
export function createWorker<const Jobs extends readonly Job[], Client extends HostClient>(
  options: WorkerOptions<Jobs, Client>,
): Worker {
  return createWorkerThatWaits({}, options)
}

/** The same with other waits, for tests. */
export function createWorkerThatWaits<const Jobs extends readonly Job[], Client extends HostClient>(
  waits: { aloneMs?: number; watchdogMarginMs?: number; roundMs?: number },
  options: WorkerOptions<Jobs, Client>,
): Worker {
  const { client, handlers, handlersModule } = options
  const given = checkParts('options', options, WORKER_CHECKS)
  const { databaseUrl, concurrency = 10, version, traceEnqueue } = given
  const { retention = checkRetention('retention', {}) } = given
  const workerId = createWorkerId()
  const log = containedLog(options.log)
  const now = boundedClock(given.now)
  const observers = combineObservers(given.observers ?? [], log)
  const schema = createSchema(options.schema)
  // Throws here instead of at the first batch.
  recogniseHost(client, schema)
  const { jobs, taken } = chooseJobs({ ...given, retention, jobs: options.jobs, handlers })

  const postgres = openPostgres({
    databaseUrl,
    schema,
    workerId,
    what: 'engine',
    version,
    taken,
    concurrency,
    traceEnqueue,
    log,
  })
  const { database, session, enqueueFrom, waker, wakeUps, announcer, cancellations } = postgres

  const deciding = {
    database,
    workerId,
    log,
    onTick: (name: string) => announcer.tick(name),
    onWork: (name: string) => waker.wake(name, null),
    observers,
  }
  const keyedScheduler = createKeyedScheduler({ ...deciding, jobs })
  const scheduler = createScheduler({
    ...deciding,
    jobs: jobs.filter(isScheduled),
    now,
    ...(options.clock && { clock: options.clock }),
  })

  const settler = createSettler({ database, workerId, log, observers })
  const guard = guardProcess({
    ...given,
    marginMs: waits.watchdogMarginMs,
    log,
    stopWorker: (how) => worker.stop(how),
  })
  const turns = createTurns({
    waitMs: waits.aloneMs ?? ALONE_WAIT_MS,
    onOpen: () => lanes.wakeAll(),
  })
  const performer = createPerformer({
    services: {
      client,
      settler,
      cancellations,
      database,
      enqueueFrom,
      workerId,
      log,
      now,
      observers,
      keepLogs: given.keepLogs,
      onChange: (run) => announcer.run(run),
    },
    jobs,
    taken,
    handlers,
    handlersModule,
    retention,
    databaseUrl,
    executeHere: guard.execute,
    log,
  })

  const floors = createFloors()
  const limits = createLimits()
  const room = createRoom({ workerId, waker, limits, onRoom: (name) => lanes.wake(name) })
  const claimer = createClaimer({
    database,
    workerId,
    now,
    onNotAlive: session.doubt,
    floors,
    limits,
    room,
  })
  const lanes = createLanes({
    jobs: taken,
    countLanes: (job) => countLanes(job, concurrency),
    claimer,
    log,
    observers,
    turns,
    execute: performer.perform,
  })

  const bulk = createBulkCarrier({ database, log, onReady: (name) => waker.wake(name, null) })
  const rounds = createRounds({
    session,
    database,
    floors,
    limits,
    cancellations,
    workerId,
    jobs: taken,
    roundMs: waits.roundMs,
    log,
    now,
    observers,
    onReady: lanes.wake,
    onSuspect: lanes.wakeSuspect,
    onIdleBulk: () => bulk.wake(),
    scheduled: jobs.map(({ name }) => name),
    onTicksDue: (names) => void keyedScheduler.decide(names),
    onEnded: (run) => announcer.run(run),
  })
  const alerts =
    given.alerts &&
    createAlertWatcher({
      ...(given.alerts as unknown as AlertOptions),
      databaseUrl,
      schema: options.schema,
      jobs,
      log: options.log,
    })

  const limitRegistry = createLimitRegistry({ database, workerId, jobs, version, log })

  let isStarted = false
  let stopping: Promise<void> | null = null

  const worker: Worker = {
    id: workerId,
    async start() {
      if (isStarted || stopping) {
        throw new Error('This worker was started before: create another one with createWorker')
      }
      isStarted = true
      try {
        await connect()
      } catch (error) {
        // Close what was opened.
        stopping ??= scheduler.stop().then(close)
        await stopping
        throw error
      }
      guard.start()
      lanes.start()
      rounds.start()
      keyedScheduler.start()
      alerts?.start()
      logStart()
    },
    async stop(how = {}) {
      const { drainTimeoutMs = given.drainTimeoutMs ?? DRAIN_TIMEOUT_MS } = checkParts(
        'options',
        how,
        STOP,
      )
      if (stopping) abortRuns()
      stopping ??= drainAndClose(drainTimeoutMs)
      await stopping
    },
    isReady: () => session.connectedForMs() !== null && stopping === null,
    connections: database.connections,
  }
  return worker

  async function connect(): Promise<void> {
    await startOnceFree(() => checkTables(database))
    await startOnceFree(() => session.start())
    await startOnceFree(() => limitRegistry.start())
    const hearer = {
      isWanted: (subject: string) => lanes.has(subject) || room.isWanted(subject),
      onCommitted: (subject: string) =>
        lanes.has(subject) ? lanes.wake(subject) : room.hear(subject),
    }
    await session.listen(
      WORK_CHANNEL,
      (payload) => wakeUps.hear(payload, hearer),
      // Notifications may have been missed before it connected again, and it may be another server.
      () => {
        floors.forget()
        lanes.wakeAll()
      },
    )
    await cancellations.start()
    await startOnceFree(() => scheduler.start())
    await startOnceFree(async () =>
      limits.note(
        await readRules(
          database,
          taken.map(({ name }) => name),
        ),
      ),
    )
    if (stopping) throw new Error('This worker was stopped while it started')
  }

  /** Begins again as often as somebody has locked what it needs, unless the worker is told to stop. */
  async function startOnceFree(part: () => Promise<void>): Promise<void> {
    await tryUntilFree(part, (error) => {
      if (stopping) throw error
      log.warn({ err: error }, 'the worker starts once others have released their locks')
    })
  }

  function logStart(): void {
    const scheduled = jobs.filter(isScheduled).map(({ name, schedule }) => ({ name, ...schedule }))
    const takesOnly = given.only && taken.map(({ name }) => name)
    log.info(
      { workerId, jobs: scheduled, ...(takesOnly && { takesOnly }) },
      'Jobs scheduler enabled',
    )
  }

  async function drainAndClose(drainTimeoutMs: number): Promise<void> {
    try {
      await drainWorker(
        {
          claimer,
          turns,
          schedulers: [scheduler, keyedScheduler],
          rounds,
          bulk,
          lanes,
          log,
          abortRuns,
        },
        drainTimeoutMs,
      )
      await close()
    } finally {
      await guard.stop()
    }
  }

  function abortRuns(): void {
    cancellations.abortAll(
      guard.isFailing()
        ? new JobError(WORKER_LOST, 'The worker stopped because of an error that belongs to no run')
        : new JobError(DRAINED, 'The worker is shutting down; the work is given back'),
    )
  }

  /** Closes everything, in any state, within the time that each part has. */
  async function close(): Promise<void> {
    settler.stop()
    limitRegistry.stop()
    room.stop()
    await alerts?.stop({ timeoutMs: CLOSE_TIMEOUT_MS })
    await settlesWithin(performer.stop(), CLOSE_TIMEOUT_MS)
    await postgres.close()
  }
}

/** Makes a worker's id, for people and for the lock: host, process, and a part that no restart repeats. */
export function createWorkerId(): string {
  return `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`
}
