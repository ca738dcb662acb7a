// One of the workers that have to live with whatever was drawn.
import { setTimeout as pause } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'
import { createLogger } from '@roundsman/node-app'
import type { Details, HandlersFor, Job, RunContext, TransactionOf } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { followDriver } from '../followDriver.ts'
import { openPrisma } from '../product.ts'
import type { WorkerSettings } from './createHostileFleet.ts'
import { createHostileObserver } from './createHostileObserver.ts'
import { drawRunnableJobs } from './drawDefinitions.ts'
import { deadlyOutcome, grantWishes } from './deadlyOutcomes.ts'
import { drawOutcome, type Outcome } from './drawOutcome.ts'
import { hostileJobs, LONG_STEPS, sink } from './hostileJobs.ts'
import { watchEventLoop } from './watchEventLoop.ts'

type Tx = TransactionOf<PrismaClient>
type Context = RunContext<unknown, Tx>

const { settings, tell, runWorker } = followDriver<WorkerSettings>()
const { databaseUrl, seed } = settings
const LONG_STEP_MS = 150
const DRAIN_TIMEOUT_MS = 2_000

grantWishes()
const { block } = watchEventLoop(tell)
const drawn = drawRunnableJobs(seed)

const handlers: HandlersFor<typeof hostileJobs, Tx> = {
  guilty: (context) => perform(context, drawOf(context)),
  guiltyAgain: (context) => perform(context, drawOf(context)),
  guiltyHasty: (context) => perform(context, drawOf(context)),
  guiltyTick: (context) => perform(context, drawOutcome(seed, secondOf(context))),
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

await runWorker(
  createWorker({
    schema: 'public',
    retention: false,
    databaseUrl,
    client: openPrisma(databaseUrl, 'hostile worker'),
    jobs: [...hostileJobs, ...drawn],
    handlers: {
      ...handlers,
      ...Object.fromEntries(
        drawn.map(({ name }) => [name, (context: Context) => perform(context, drawOf(context))]),
      ),
    } as HandlersFor<readonly Job[], Tx>,
    log: createLogger({ app: 'hostile', level: 'info' }),
    drainTimeoutMs: DRAIN_TIMEOUT_MS,
    observers: [createHostileObserver(seed)],
  }),
)

// Not async: a handler that throws at once is another case than one that rejects.
function perform(context: Context, outcome: Outcome): Promise<Details | void> {
  return outcome.perform({ context, sink, block }) as Promise<Details | void>
}

function drawOf({ payload }: Context): Outcome {
  return drawOutcome(seed, (payload as { number: number }).number)
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
