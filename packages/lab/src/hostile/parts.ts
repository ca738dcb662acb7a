import { randomBytes } from 'node:crypto'
import { createDatabase, dropDatabase } from '@roundsman/testing'
import { tryControls } from './controlModel.ts'
import { runLocks } from './runLocks.ts'
import { runNetworks } from './runNetworks.ts'
import { runNumbers } from './runNumbers.ts'
import { runSchedules } from './runSchedules.ts'

/** What a part came to with one seed. */
export interface PartResult {
  /** Empty when all held. */
  problems: string[]
  figures: string
}

export type DrawnResult = PartResult & Draws

/** What is drawn with a seed, so many times, on a PostgreSQL of its own. */
export interface Part {
  title: string
  /** For the report: what is done, and what holds. */
  about: string
  /** The option that says how often, and what it counts. */
  option: 'sequences' | 'fleets' | 'networks' | 'locks' | 'numbers'
  counts: string
  fallback: number
  patienceMs: (count: number) => number
  run: (drawn: Draws, place: { adminUrl: string; signal: AbortSignal }) => Promise<PartResult>
}

export interface Draws {
  seed: number
  count: number
}

/** A database that is used for nothing else. */
export interface DatabasePlace {
  databaseUrl: string
  signal: AbortSignal
}

const NETWORK_STEPS = 10

export const PARTS = {
  control: {
    title: 'What people do to work',
    about: `People and programs enqueue, replace, approve, redrive, discard, cancel, postpone and pause in any order, on a clock that
is moved. Which run may remove how much, with which payload, and what is on record of whom, agrees with a model.`,
    option: 'sequences',
    counts: 'sequences of what people do',
    fallback: 5_000,
    patienceMs: (count) => 300_000 + count * 2_000,
    run: onOwnDatabase(tryControls),
  },
  fleets: {
    title: 'Fleets of several versions',
    about: `Workers that define schedules differently start, drain and are killed, while people pause, resume and delete schedules and hold
their rows. No due tick of a job that a living worker defines stays undecided, one that all define alike has a tick of every
second, and none has two pieces of work.`,
    option: 'fleets',
    counts: 'times that a worker comes or goes, or somebody changes a schedule',
    fallback: 300,
    // A worker starts in a second or two, and ends within three.
    patienceMs: (count) => 300_000 + count * 10_000,
    run: onOwnDatabase(runSchedules),
  },
  networks: {
    title: 'Networks',
    about: `A worker and a client live with networks that are slow, silent or cut in the middle of a message. All that was enqueued
succeeds, nothing twice without a failure on record, and soon after the networks are back.`,
    option: 'networks',
    counts: `networks, each with ${NETWORK_STEPS} disturbances`,
    fallback: 20,
    // A disturbance takes some seconds, and the end a minute at most.
    patienceMs: (count) => count * 300_000,
    async run({ seed, count }, { adminUrl, signal }) {
      const problems: string[] = []
      let enqueued = 0
      for (let which = seed; which < seed + count; which++) {
        const result = await withOwnDatabase(adminUrl, (databaseUrl) =>
          runNetworks({ seed: which, steps: NETWORK_STEPS }, { databaseUrl, signal }),
        )
        enqueued += result.enqueued
        const how = `seed ${which} with 1 network: ${result.steps.join(', ')}`
        problems.push(...result.problems.map((problem) => `${problem} (${how})`))
      }
      return { problems, figures: `${count} networks, ${enqueued} pieces of work` }
    },
  },
  locks: {
    title: "Other sessions' locks",
    about: `Another session locks rows and tables of the engine for up to 40 s, while workers start, drain and are killed, and people
and programs enqueue, replace many keys in one transaction, cancel and migrate. Every tenth one holds a schedule and a few
pieces of a burst that ends at one instant. All work ends as told, none is called twice without a loss on record, work and
schedules beside locked rows go on meanwhile, the other sessions meet no deadlock, and all workers are ready again.`,
    option: 'locks',
    counts: 'times that another session locks something',
    fallback: 200,
    // Locked for 40 s at most; then what a killed worker had is tried again.
    patienceMs: (count) => 300_000 + count * 60_000,
    run: onOwnDatabase(runLocks),
  },
  numbers: {
    title: 'Numbers and instants',
    about: `All numbers that worker and definition take, and those and the instants of enqueued work, drawn together and mostly at their
limits. Instants that no column holds are refused by name; else the worker does what is due, keeps what is not, logs no error, and stops.`,
    option: 'numbers',
    counts: 'draws of numbers and instants',
    fallback: 500,
    patienceMs: (count) => 300_000 + count * 10_000,
    run: onOwnDatabase(runNumbers),
  },
} as const satisfies Record<string, Part>

export type PartName = keyof typeof PARTS

function onOwnDatabase(
  run: (drawn: Draws, place: DatabasePlace) => Promise<PartResult>,
): Part['run'] {
  return (drawn, { adminUrl, signal }) =>
    withOwnDatabase(adminUrl, (databaseUrl) => run(drawn, { databaseUrl, signal }))
}

/** Does `work` with an empty database of its own on that server, which is dropped afterwards. */
async function withOwnDatabase<Result>(
  adminUrl: string,
  work: (databaseUrl: string) => Promise<Result>,
): Promise<Result> {
  const name = `hostile_${randomBytes(6).toString('hex')}`
  try {
    return await work(await createDatabase(adminUrl, name))
  } finally {
    await dropDatabase(adminUrl, name)
  }
}
