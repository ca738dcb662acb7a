import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { createAlertWatcher, type AlertOptions } from '../alerts/createAlertWatcher.ts'
import { openRetention } from '../control/pruneJobRuns.ts'
import { isScheduled, type Job } from '../job/defineJob.ts'
import { isEngineJob } from '../job/engineJobs.ts'
import { findHandler, type Handler } from '../job/handler.ts'
import { JobError } from '../job/jobError.ts'
import type { HostClient } from '../job/hostTypes.ts'
import type { Logger } from '../job/logger.ts'
import { checkRetention, checkStopOptions, checkWorkerOptions } from '../arguments/worker.ts'
import { expectSession } from '../database/findPooler.ts'
import { createRounds } from './rounds.ts'
import { combineObservers } from '../run/combineObservers.ts'
import { createIsolation } from '../isolation/isolation.ts'
import {
  DRAINED,
  performRun,
  WORKER_LOST,
  type RunManner,
  type RunServices,
} from '../run/performRun.ts'
import { createLiveLogs } from '../run/liveLogs.ts'
import { createSettler } from '../run/settler.ts'
import { recogniseHost } from '../database/callersTransaction.ts'
import { SIGNALS, WORK_CHANNEL } from '../database/channels.ts'
import { containedLog } from '../database/containedLog.ts'
import { GIVING_WAY } from '../database/giveWay.ts'
import { LONG, type Database } from '../database/database.ts'
import { readRules } from '../queue/limitSql.ts'
import { mendPlaces } from '../queue/mendPlaces.ts'
import { answerWaits } from '../queue/signals.ts'
import { createSchema } from '../database/schema.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import { checkTables } from '../tables/tablesState.ts'
import type { Taken } from '../queue/taken.ts'
import { tryUntilFree } from '../database/waitForLocks.ts'
import { boundedClock } from '../tick/boundedClock.ts'
import { nodeCronClock } from '../tick/clock.ts'
import { createScheduler } from '../tick/scheduler.ts'
import { executorOf } from '../steps/executeSteps.ts'
import { createMemoWriter } from '../steps/memoWriter.ts'
import { createClaimer } from '../work/claimer.ts'
import { createFloors } from '../work/floors.ts'
import { createHoldings } from '../work/holdings.ts'
import { createLimits } from '../work/limits.ts'
import { createLanes } from '../work/lanes.ts'
import { createRoom } from '../work/room.ts'
import { createTurns } from '../work/turns.ts'
import { chooseJobs, countLanes } from './chooseJobs.ts'
import { guardProcess } from './guardProcess.ts'
import { CLOSE_TIMEOUT_MS, openPostgres } from './openPostgres.ts'
import { registerLimits, settleLimits } from './registerLimits.ts'
import type { Worker, WorkerOptions } from './workerOptions.ts'

/*
 * A worker is in one of these states.
 *
 *   made       start() ends it: the worker runs, or is closed if something cannot be opened. So does stop(), which closes it.
 *   running    It schedules and takes work. stop() ends it, or an error that belongs to no run (guardProcess.ts).
 *   draining   It takes nothing new, and its runs go on. Ends when the last run has ended, after `drainTimeoutMs`, or when
 *              stop() is called again.
 *   aborting   It aborts its runs. Ends when all have been settled, or after SETTLE_TIMEOUT_MS.
 *   closed     Nothing of it is open any more. The rescue ends the runs that it could not settle.
 */

/**
 * How long lanes take no new work so that a suspect, which is work that has lost several workers, can run alone. If other
 * runs have not ended by then, the worker leaves the suspect to other workers.
 */
const ALONE_WAIT_MS = 30_000
const DRAIN_TIMEOUT_MS = 25_000
/** How long aborting and settling may take after the drain's time-out, when the database answers slowly or not at all. */
const SETTLE_TIMEOUT_MS = 9_000

/**
 * Makes a worker: it schedules the jobs, takes their work and carries it out. Nothing happens before `start()`.
 * @throws ArgumentError if an option is invalid. That includes: a client of no supported library, an isolated job without a valid
 * `handlersModule`, a job that is listed twice or has no handler. Also refused are a handler of the engine's own job, and an
 * unknown job in `only`
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
  const given = checkWorkerOptions(options)
  const { client } = options
  const { handlers, handlersModule } = given
  const { databaseUrl, concurrency = 10, version, traceEnqueue } = given
  const { retention = checkRetention('retention', {}) } = given
  const workerId = createWorkerId()
  const log = containedLog(given.log)
  const now = boundedClock(given.now)
  const observers = combineObservers(given.observers ?? [], log)
  const schema = createSchema(given.schema)
  // Throws here instead of at the first batch.
  recogniseHost(client, schema, 'client')
  const { jobs, taken, unused } = chooseJobs({ ...given, retention })
  if (unused.length > 0)
    log.warn({ handlers: unused }, 'no job in jobs has these handlers: add it, or take them out')

  const postgres = openPostgres({
    databaseUrl,
    schema,
    workerId,
    what: 'engine',
    version,
    taken,
    jobs,
    concurrency,
    traceEnqueue,
    log,
  })
  const { database, session, sender, enqueueFrom, waker, wakeUps, announcer, cancellations } =
    postgres

  const scheduler = createScheduler({
    jobs,
    database,
    workerId,
    log,
    onTick: (name) => announcer.tick(name),
    onWork: wakeLanes,
    observers,
  })

  const holdings = createHoldings()
  const memos = createMemoWriter({ database, workerId, log })
  const settler = createSettler({ database, workerId, log, observers, holdings })
  const guard = guardProcess({
    ...given,
    marginMs: waits.watchdogMarginMs,
    log,
    cancellations,
    stopWorker: (how) => worker.stop(how),
  })
  const turns = createTurns({
    waitMs: waits.aloneMs ?? ALONE_WAIT_MS,
    onOpen: () => lanes.wakeAll(),
  })
  const services: RunServices = {
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
    liveLogs: createLiveLogs({
      connection: database,
      workerId,
      now,
      onWritten: (run) => announcer.run(run),
    }),
    onChange: (run) => announcer.run(run),
  }
  const isolation = createIsolation({
    handlersModule,
    jobs: taken,
    databaseUrl,
    schema,
    workerId,
    log,
  })
  const ownManner = retention === false ? null : openRetention(retention, jobs, database)

  const signals = createSignalDelivery({
    database,
    log,
    onWork: wakeLanes,
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
    holdings,
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
    performOf,
  })

  const registering = { workerId, jobs, version }
  const rounds = createRounds({
    session,
    database,
    floors,
    holdings,
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
    scheduled: jobs,
    onTicks: scheduler.note,
    onOtherServer: () => cancellations.endWatchedSoon(otherServer()),
    onFresh: signals.look,
    settleLimits: () => settleLimits(database, registering),
    onEnded: (run) => announcer.run(run),
  })
  const alerts =
    given.alerts &&
    createAlertWatcher({
      ...(given.alerts as AlertOptions),
      databaseUrl,
      schema: given.schema,
      jobs,
      log: given.log,
    })

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
        const isWanted = stopping !== null
        // Close what was opened.
        stopping ??= scheduler.stop().then(close)
        await stopping
        if (isWanted) return
        throw error
      }
      guard.start()
      lanes.start()
      rounds.start()
      alerts?.start()
      logStart()
    },
    async stop(how = {}) {
      const { drainTimeoutMs = given.drainTimeoutMs ?? DRAIN_TIMEOUT_MS } = checkStopOptions(how)
      if (stopping) abortRuns()
      stopping ??= drainAndClose(drainTimeoutMs)
      await stopping
    },
    isReady: () => session.connectedForMs() !== null && stopping === null,
    connections: database.connections,
  }
  return worker

  /** Other workers get no notification of work that this one is about to take. If it is full, they get it at once. */
  function wakeLanes(name: string): void {
    if (!lanes.wake(name)) waker.wake(name, null)
  }

  async function connect(): Promise<void> {
    await expectSession(databaseUrl)
    await startOnceFree(() => checkTables(database))
    await startOnceFree(() => database.transaction(mendPlaces, LONG))
    await startOnceFree(() => session.start())
    await startOnceFree(() =>
      database.transaction((tx) => registerLimits(tx, registering), GIVING_WAY),
    )
    const receiver = {
      isWanted: (subject: string) =>
        lanes.has(subject) || subject === SIGNALS || room.isWanted(subject),
      onCommitted(subject: string) {
        if (subject === SIGNALS) signals.look()
        else if (lanes.has(subject)) lanes.wake(subject)
        else room.receive(subject)
      },
    }
    await session.listen(
      WORK_CHANNEL,
      (payload) => wakeUps.receive(payload, receiver),
      // Notifications may have been missed before it connected again, and it may be another server.
      () => {
        floors.forget()
        lanes.wakeAll()
      },
    )
    await cancellations.start()
    await startOnceFree(() => scheduler.start(given.clock ?? nodeCronClock))
    await startOnceFree(async () =>
      limits.note(
        await readRules(
          database,
          taken.map(({ name }) => name),
        ),
      ),
    )
    if (stopping) throw new Error('The worker was stopped while it started')
  }

  /** Begins again as often as it meets a lock of another session, until stop() is called. */
  async function startOnceFree(part: () => Promise<unknown>): Promise<void> {
    await tryUntilFree(part, (error) => {
      if (stopping) throw error
      log.warn({ err: error }, 'the worker starts once others have released their locks')
    })
  }

  function logStart(): void {
    const scheduled = jobs.filter(isScheduled).map(({ name, schedule }) => ({ name, ...schedule }))
    const takesOnly = given.only && taken.map(({ name }) => name)
    const own = jobs.filter((job) => !isEngineJob(job))
    const defined = `${plural(own.length, 'job')}, ${plural(own.filter(isScheduled).length, 'schedule')}`
    log.info(
      { workerId, defined, jobs: scheduled, ...(takesOnly && { takesOnly }) },
      'Jobs scheduler enabled',
    )
  }

  async function drainAndClose(drainTimeoutMs: number): Promise<void> {
    try {
      await drain(drainTimeoutMs)
      await close()
    } finally {
      await guard.stop()
    }
    if (isStarted) log.info({ workerId }, 'Jobs scheduler stopped')
  }

  /** Ends the worker's work, as far as it ends in time. Its parts are still open after that. */
  async function drain(drainTimeoutMs: number): Promise<void> {
    claimer.stop()
    turns.stop()
    if (!guard.isFailing()) cancellations.endSoon(drained())
    const parts = [scheduler, rounds, lanes]
    const takesNothing = Promise.all(parts.map(async (part) => await part.stop()))
    const isIdle = takesNothing.then(() => lanes.idle())
    if (await settlesWithin(isIdle, drainTimeoutMs)) return
    log.warn({ runs: lanes.running() }, 'drain timed out, aborting the runs that are left')
    abortRuns()
    if (await settlesWithin(isIdle, SETTLE_TIMEOUT_MS)) return
    log.warn('the database does not answer: the rescue will end the runs that are left')
  }

  function abortRuns(): void {
    cancellations.abortAll(
      guard.isFailing()
        ? new JobError(WORKER_LOST, 'The worker stopped because of an error that belongs to no run')
        : drained(),
    )
  }

  /** Closes everything, in any state, within the time that each part has. */
  async function close(): Promise<void> {
    settler.stop()
    memos.stop()
    room.stop()
    await alerts?.stop({ timeoutMs: CLOSE_TIMEOUT_MS })
    await settlesWithin(isolation.stop(), CLOSE_TIMEOUT_MS)
    await postgres.close()
  }

  /** Runs of the job go on in this process or in a child process. `isAlone`: no other run is under way here. */
  function performOf(job: Job, isAlone: boolean) {
    // The engine's own jobs do not use the host's client.
    const own = isEngineJob(job) ? ownManner : null
    const its = own === null ? services : { ...services, client: own.client }
    const execute = executorOf(job, { database, memos, sender, workerId })
    const manner: RunManner = {
      job,
      isAlone,
      handler: own?.handler ?? handlerOf(job),
      execute: job.isolate === null ? (run) => guard.execute(run, execute) : isolation.execute,
    }
    return (work: Taken) => {
      // A durable run may wait for a signal that is there already, and a parent may wait for this child.
      const isAwaited = job.steps !== null || !!work.facts.child
      const ended = performRun(its, work, manner)
      return isAwaited ? ended.finally(signals.look) : ended
    }
  }

  /** A host may load its handlers when they are read. Read at the call, so that where that fails the run does, and no other. */
  function handlerOf({ name }: Job): Handler<never, never> {
    return (context) => {
      const handler = findHandler(handlers, name)
      if (handler !== undefined) return handler(context)
      throw new JobError('handler_missing', `There is no handler of ${name}`)
    }
  }
}

/** Gives signals to waits: one pass at a time, and one more if `look` was called meanwhile. */
function createSignalDelivery({
  database,
  log,
  onWork,
}: {
  database: Database
  log: Pick<Logger, 'warn'>
  onWork: (name: string) => void
}) {
  let isLooking = false
  let isAsked = false

  async function lookAll(): Promise<void> {
    while (isAsked) {
      isAsked = false
      try {
        const { names, isMore } = await answerWaits(database)
        names.forEach(onWork)
        isAsked ||= isMore && names.length > 0
      } catch (err) {
        log.warn({ err }, 'signals could not be given to waits, the next round tries again')
      }
    }
    isLooking = false
  }

  return {
    look(): void {
      isAsked = true
      if (isLooking) return
      isLooking = true
      void lookAll()
    },
  }
}

/** It may lack memos that the server before had stored. The next run of the work reads those that it has. */
const otherServer = () =>
  new JobError(
    DRAINED,
    'Another database server answers: the work goes on with the steps that it has',
  )

const drained = () => new JobError(DRAINED, 'The worker is shutting down; the work is given back')

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** Makes a worker's id, for people and for the lock: host, process, and a part that no restart repeats. */
export function createWorkerId(): string {
  return `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`
}
