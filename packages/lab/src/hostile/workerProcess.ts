// One of the workers that have to live with whatever was drawn.
import { setTimeout as pause } from 'node:timers/promises'
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { createLogger } from '@roundsman/node-app'
import type { Details, HandlersFor, Job, RunContext, TransactionOf } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { followDriver } from '../followDriver.ts'
import type { WorkerSettings } from './createHostileFleet.ts'
import { createHostileObserver } from './createHostileObserver.ts'
import { drawRunnableJobs } from './drawDefinitions.ts'
import { deadlyOutcome, grantWishes } from './deadlyOutcomes.ts'
import { drawOutcome, type Outcome } from './drawOutcome.ts'
import { hostileJobs, LONG_STEPS, sink } from './hostileJobs.ts'
import { watchEventLoop } from './watchEventLoop.ts'

type Tx = TransactionOf<PrismaClient>
type Context = RunContext<unknown, Tx>

const { settings, tell } = followDriver<WorkerSettings>()
const LONG_STEP_MS = 150
const DRAIN_TIMEOUT_MS = 2_000

// Ctrl-C signals the whole process group. The driver ends the others itself.
process.on('SIGINT', () => undefined)
grantWishes()

const log = createLogger({ app: 'hostile', level: 'info' })
const prisma = createDatabaseClient({
  url: settings.databaseUrl,
  applicationName: 'hostile worker',
  onPoolError: (error) => log.debug({ err: error }, 'database connection lost'),
})
const watch = watchEventLoop(tell)
const drawn = drawRunnableJobs(settings.seed)

const handlers: HandlersFor<typeof hostileJobs, Tx> = {
  guilty: (context) => perform(context, drawOf(context)),
  guiltyAgain: (context) => perform(context, drawOf(context)),
  guiltyHasty: (context) => perform(context, drawOf(context)),
  guiltyTick: (context) => perform(context, drawOutcome(settings.seed, secondOf(context))),
  deadly: (context) => perform(context, deadlyOutcome(context.payload.number)),
  sink: () => Promise.resolve(),
  innocent: (context) => leaveRow(context, 1),
  async innocentLong(context) {
    for (let step = 1; step <= LONG_STEPS; step++) {
      await pause(LONG_STEP_MS, undefined, { signal: context.signal })
      await leaveRow(context, step)
    }
  },
  innocentTick: (context) => leaveRow(context, 1),
}

const worker = createWorker({
  schema: 'public',
  retention: false,
  databaseUrl: settings.databaseUrl,
  client: prisma,
  jobs: [...hostileJobs, ...drawn],
  handlers: {
    ...handlers,
    ...Object.fromEntries(
      drawn.map(({ name }) => [name, (context: Context) => perform(context, drawOf(context))]),
    ),
  } as HandlersFor<readonly Job[], Tx>,
  log,
  drainTimeoutMs: DRAIN_TIMEOUT_MS,
  observers: [createHostileObserver(settings.seed)],
})
tell({ workerId: worker.id })
process.once('SIGTERM', () => void stop())
await worker.start()
tell({ isReady: true })

// Not async: a handler that throws at once is another case than one that rejects.
function perform(context: Context, outcome: Outcome): Promise<Details | void> {
  return outcome.perform({ context, sink, block: watch.block }) as Promise<Details | void>
}

function drawOf({ payload }: Context): Outcome {
  return drawOutcome(settings.seed, (payload as { number: number }).number)
}

/** A negative number for a tick's outcome, apart from the numbers of other work. */
function secondOf({ run }: Context): number {
  return -Math.floor((run.scheduledFor?.getTime() ?? 0) / 1_000)
}

/** Leaves an effect that a second delivery does not repeat. */
async function leaveRow({ run, batch }: Context, step: number): Promise<void> {
  await batch(async (tx) => {
    const effects = await tx.$executeRawUnsafe(
      `insert into "HostileEffect" ("workId", "step", "runId")
       select "workId", $2::int, "id" from "JobRun" where "id" = $1::uuid
       on conflict do nothing`,
      run.id,
      step,
    )
    return { effects }
  })
}

async function stop(): Promise<void> {
  await worker.stop()
  watch.stop()
  await prisma.$disconnect()
  process.exit(0)
}
