import pg from 'pg'
import { waitFor } from '@roundsman/testing'
import { countLockWaits } from './countLockWaits.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** A statement of a worker's gives way to a lock after half a second. */
const GAVE_WAY = '55P03'
const MAX_TRIES = 20

/** Repeats a scenario in which a claim waits for a lock, until a busy machine brings the rest of it within half a second. */
export async function untilInTime(scenario: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await scenario()
    } catch (error) {
      const gaveWay = error instanceof pg.DatabaseError && error.code === GAVE_WAY
      if (!gaveWay || tries === MAX_TRIES) throw error
    }
  }
}

/** Has a claim wait for the rows of JobLimit while something happens. Returns what the claim answers then. */
export async function whileClaimWaits<Answer>(
  runtime: TestRuntime,
  claim: () => Promise<Answer>,
  happen: () => Promise<unknown>,
): Promise<Answer> {
  let answer: Promise<Answer> | undefined
  await runtime.database.transaction(async (tx) => {
    await tx.query('select from "JobLimit" for update')
    answer = claim()
    // A claim that gives way is noticed below.
    answer.catch(() => undefined)
    await waitFor(() => countLockWaits(runtime))
    await happen()
  })
  return await (answer as Promise<Answer>)
}
