import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient } from '../src/client.ts'
import { defineJob } from '../src/index.ts'
import { createWorker, run } from '../src/worker.ts'
import { useClientRuntime } from './useClientRuntime.ts'

/*
 * Programs as a beginner may write them, in plain JavaScript or with a cast. Each is refused with one line that names the mistake and
 * the remedy.
 */

const { runtime, client } = useClientRuntime()
const pool = new pg.Pool()
afterAll(() => pool.end())

const letter = defineJob({ name: 'letter', payload: z.object({ to: z.string() }) })
const reminder = defineJob({ name: 'reminder', payload: z.object({ at: z.date() }) })
const payload = { to: 'ada' }
const handlers = { letter: async () => undefined }

const worker = (options: object) => () =>
  createWorker({ ...runtime.workerOptions, jobs: [letter], handlers, ...options } as never)
const define = (options: object) => () => defineJob({ name: 'clean', ...options })

const programs: [what: string, program: () => unknown, line: string][] = [
  [
    'a cron expression beside the name',
    define({ cron: '@daily' }),
    'ArgumentError: Job "clean": cron is unknown: set schedule: { cron: \'…\' }',
  ],
  [
    'a time-out without its unit',
    define({ timeout: 5_000 }),
    'ArgumentError: Job "clean": timeout is unknown: did you mean timeoutMs?',
  ],
  [
    'a handler in the definition',
    define({ handler: async () => undefined }),
    'ArgumentError: Job "clean": handler is unknown: give the worker its handlers: createWorker({ jobs, handlers })',
  ],
  [
    'a number of retries',
    define({ retry: 3 }),
    'ArgumentError: Job "clean": retry must be an object with limit, delayMs, maxDelayMs, not 3',
  ],
  [
    'a description that is no text',
    define({ description: 5 }),
    'ArgumentError: Job "clean": description must be a text, not 5',
  ],
  [
    'a delay in milliseconds',
    () => client.enqueueNow(letter, payload, { delay: 5 } as never),
    'ArgumentError: delay is unknown: set startAfter, a Date',
  ],
  [
    'the pool where the transaction is meant',
    () => client.enqueue(pool as never, letter, payload),
    'ArgumentError: tx is a pool of pg, which is in no transaction: pass the transaction, or call enqueueNow(job, payload) to enqueue without one',
  ],
  [
    'a Date in a payload',
    () => client.enqueueNow(reminder, { at: new Date(0) }),
    'JobError: payload of reminder: at: a Date becomes text in JSON; use z.coerce.date()',
  ],
  [
    'a job that is listed twice',
    worker({ jobs: [letter, letter] }),
    'ArgumentError: jobs[1] is a second job with the name letter; leave one out',
  ],
  [
    'a handler with the name of no job',
    worker({ handlers: { leter: handlers.letter } }),
    'ArgumentError: handlers.leter is of no job in jobs; did you mean letter?',
  ],
  [
    'no handler for a job',
    worker({ handlers: {} }),
    'ArgumentError: handlers.letter is missing; add the handler, or take the job out of jobs',
  ],
  [
    "another library's name for the address",
    () => createJobsClient({ connectionString: runtime.url } as never),
    'ArgumentError: connectionString is unknown: did you mean databaseUrl?',
  ],
  [
    'an address that no variable has set',
    () => run({ databaseUrl: undefined, jobs: [letter], handlers } as never),
    'ArgumentError: databaseUrl must be the address of a database, such as postgres://user@host:5432/name; is DATABASE_URL set?',
  ],
]

describe('a wrong program says in one line what to do', () => {
  it.each(programs)('%s', async (_what, program, line) => {
    const error: unknown = await Promise.resolve()
      .then(program)
      .catch((thrown: unknown) => thrown)
    expect(String(error)).toBe(line)
  })
})
