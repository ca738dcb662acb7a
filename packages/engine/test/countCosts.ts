import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import fc from 'fast-check'
import pg from 'pg'
import { expect } from 'vitest'
import type { Job, Logger } from '../src/index.ts'
import type { Connection, Database } from '../src/database/database.ts'
import { enqueueWork } from '../src/queue/enqueueWork.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** What becomes of a statement or a transaction: it does not arrive, is refused, is done without an answer, or is well. */
export type Luck = 'away' | 'refused' | 'lost' | 'well'

const drawnLuck = fc.array(fc.constantFrom<Luck>('away', 'refused', 'lost', 'well'), {
  maxLength: 8,
})

interface Costs {
  /** A transaction counts as one, beside its statements. */
  statements: number
  /** In milliseconds, each. They take no time. */
  pauses: number[]
  lines: number
}

export interface Counted {
  database: Database
  log: Logger
  /** What was asked for from the last call on, or from the beginning. */
  costs(): Costs
  /** What the next statements and transactions meet. */
  meet(luck: readonly Luck[]): void
  /** How many of those have not been met yet. */
  left(): number
  /** What happened, in turn: a pause stands where it ends. */
  events: ('statement' | 'pause')[]
  /** Gives the pauses their time again. */
  close(): void
}

/**
 * Gives what is tested a database that fails as told, and counts what it costs: its statements, the pauses that it makes
 * between attempts, and the lines that it logs.
 */
export function countCosts({
  database,
  log,
  lines,
}: Pick<TestRuntime, 'database' | 'log' | 'lines'>): Counted {
  let next: Luck[] = []
  let pauses: number[] = []
  const events: Counted['events'] = []
  let [statementsBefore, linesBefore] = [0, lines.length]
  const countStatements = () => events.filter((event) => event === 'statement').length

  async function meet<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    events.push('statement')
    const luck = next.shift()
    if (luck === 'away') throw new Error('connection refused')
    if (luck === 'refused') {
      throw Object.assign(new pg.DatabaseError('refused', 0, 'error'), { code: '42501' })
    }
    const answer = await ask()
    if (luck === 'lost') throw new Error('connection lost')
    return answer
  }

  const pauseOfNode = timers.setTimeout
  timers.setTimeout = (async (ms = 0, value?: unknown) => {
    pauses.push(ms)
    await timers.setImmediate()
    events.push('pause')
    return value
  }) as typeof timers.setTimeout
  syncBuiltinESMExports()

  return {
    database: {
      ...database,
      query: (...asked) => meet(() => database.query<never>(...asked)),
      transaction: (work, options) =>
        meet(() =>
          database.transaction((tx) => {
            const counted: Connection = {
              ...tx,
              query: (...asked) => (events.push('statement'), tx.query<never>(...asked)),
            }
            return work(counted)
          }, options),
        ),
    },
    log,
    costs() {
      const costs = {
        statements: countStatements() - statementsBefore,
        pauses,
        lines: lines.length - linesBefore,
      }
      pauses = []
      statementsBefore = countStatements()
      linesBefore = lines.length
      return costs
    },
    meet: (luck) => void (next = [...luck]),
    left: () => next.length,
    events,
    close() {
      timers.setTimeout = pauseOfNode
      syncBuiltinESMExports()
    },
  }
}

/** Enqueues so many pieces without a wake-up, whose pauses would be counted too. */
export async function enqueueSilently(
  { database, log }: TestRuntime,
  job: Job,
  count: number,
): Promise<string[]> {
  const waker = { wake: () => undefined, cancel: () => undefined, stop: async () => undefined }
  const work = Array.from({ length: count }, () => ({
    envelope: { payload: {}, trigger: 'queue' as const },
  }))
  const sent = await enqueueWork({ waker, log }, database, job, work)
  return sent.map(({ workId }) => workId)
}

/** Something that is called again and again. */
export interface Used {
  call(): Promise<unknown>
  stop(): Promise<unknown> | void
}

const CALLS = 10

/**
 * Asserts that what has been through ups and downs costs as much from then on, and answers the same, as what is new. What a
 * recovery leaves behind may cost a statement or a pause at each call for the rest of a process's life.
 */
export async function expectLikeNew(
  runtime: TestRuntime,
  open: (counted: Counted) => Promise<Used> | Used,
): Promise<void> {
  const fresh = await measure([])
  await fc.assert(
    fc.asyncProperty(drawnLuck, async (luck) => {
      expect(await measure(luck)).toEqual(fresh)
    }),
    { numRuns: 8 },
  )

  async function measure(luck: readonly Luck[]) {
    const counted = countCosts(runtime)
    try {
      const used = await open(counted)
      counted.meet(luck)
      while (counted.left() > 0) await used.call().catch(() => undefined)
      counted.costs()
      const answers: unknown[] = []
      for (let n = 0; n < CALLS; n++) answers.push(await used.call())
      const costs = counted.costs()
      counted.meet(['away'])
      await used.call().catch(() => undefined)
      // Not its lines: who has just warned of something need not say it again.
      const { statements, pauses } = counted.costs()
      await used.stop()
      return { ...costs, answers, nextFailure: { statements, pauses } }
    } finally {
      counted.close()
    }
  }
}
