import { describe, expect, it } from 'vitest'
import { createJobsClient, getManyWork, getWork, listJobRuns } from '../src/client.ts'
import { ArgumentError, defineJob } from '../src/index.ts'
import { run } from '../src/worker.ts'
import { useClientRuntime } from './useClientRuntime.ts'

const letter = defineJob({ name: 'letter' })
const id = '01890000-0000-7000-8000-000000000001'
const by = { actor: 'admin@example.com', reason: 'because of the test' }

const { runtime, client } = useClientRuntime()

const enqueue = (options: object) => client.enqueueNow(letter, {}, options)
const list = (options: object) => listJobRuns(client.reader, { limit: 5, ...options })

describe('what a program passes in', () => {
  it.each<[string, () => unknown, string]>([
    [
      'no id',
      () => client.cancelWork({ job: letter, ids: ['nope'] }, by),
      'ids[0] must be a UUID, as the engine returns it, not "nope"',
    ],
    [
      'nothing that says which work',
      () => client.cancelWork({ job: letter } as never, by),
      'which has to say which work is meant',
    ],
    [
      'a NUL',
      () => client.cancelWork({ job: letter, label: 'a\0b' }, by),
      'label holds a NUL character or half of a surrogate pair',
    ],
    [
      'half of a pair',
      () => client.pauseQueue('a\ud83d', by),
      'name holds a NUL character or half of a surrogate pair',
    ],
    [
      'nobody',
      () => client.pauseQueue('letter', { reason: '' } as never),
      'actor must be a text, not undefined',
    ],
    [
      'an actor without a name',
      () => client.pauseQueue('letter', { actor: ' ', reason: 'a test' }),
      'actor is empty; name the person or the program that acts',
    ],
    [
      'an actor of a schedule without a name',
      () =>
        client.schedules.upsert(null, letter, {
          key: 'a',
          cron: '@daily',
          timeZone: 'UTC',
          actor: '',
        }),
      'actor is empty; name the person or the program that acts',
    ],
    [
      'a time that is none',
      () => client.result(letter, id, { timeoutMs: Number.NaN }),
      'timeoutMs must be a number of milliseconds',
    ],
    [
      'a date that no database holds',
      () =>
        client.postponeWork({ job: letter, all: true }, { ...by, startAfter: new Date(8.64e15) }),
      'startAfter must be a valid date',
    ],
    [
      'a text for an object',
      () => client.redriveDeadLetters('some' as never, by),
      'which must be an object with ids, filter',
    ],
    [
      'a text for a list',
      () => client.discardDeadLetters({ ids: 'some' as never }, by),
      'ids must be a list, not "some"',
    ],
    [
      'an option that there is not',
      () => client.discardDeadLetters({ runs: {} } as never, by),
      'runs is unknown: the options are ids, filter',
    ],
    [
      "another library's name of an option",
      () => enqueue({ delay: 5 }),
      'delay is unknown: set startAfter, a Date',
    ],
    [
      "another library's name of the address",
      () => createJobsClient({ connectionString: runtime.url } as never),
      'connectionString is unknown: did you mean databaseUrl?',
    ],
    [
      'an address that no variable has set',
      () => run({ databaseUrl: undefined, jobs: [], handlers: {} } as never),
      'databaseUrl must be the address of a database, such as postgres://user@host:5432/name; is DATABASE_URL set?',
    ],
    [
      'no whole number',
      () => list({ limit: Number.NaN }),
      'limit must be a whole number from 1 to 10000, not NaN',
    ],
    ['SQL', () => list({ limit: '1; select 1' }), 'limit must be a whole number'],
    [
      'another word',
      () => list({ outcome: 'dead' }),
      'outcome must be one of running, success, suspended, failed',
    ],
    [
      'a day that there is not',
      () => list({ after: { at: '2026-02-30 00:00:00+00', id } }),
      'after.at must be an instant',
    ],
    [
      'too many',
      () => getManyWork(client.reader, letter, Array<string>(100_001).fill(id)),
      'workIds must have at most 100000 items',
    ],
    [
      'a fraction for a priority',
      () => enqueue({ priority: 1.5 }),
      'priority must be a whole number of 32 bits, not 1.5',
    ],
    ['an empty key', () => enqueue({ uniqueKey: '' }), 'uniqueKey must have 1 to 255 characters'],
    [
      'a word for true',
      () => client.requestRun(letter, { ...by, dryRun: 'perhaps' as never }),
      'dryRun must be true or false, not "perhaps"',
    ],
  ])('is refused: %s', async (_, call, problem) => {
    const made = async () => await call()
    const error = await made().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error).toMatchObject({
      code: 'argument_invalid',
      message: expect.stringContaining(problem),
    })
  })

  it('leaves the transaction whole in which it was refused', async () => {
    const workId = await runtime.prisma.$transaction(async (tx) => {
      const work = await client.enqueue(tx, letter, {})
      const which = { job: letter, ids: ['nope'] }
      await expect(client.cancelWork(which, by, { tx })).rejects.toThrow(ArgumentError)
      return work.workId
    })
    expect(await getWork(client.reader, letter, workId)).toMatchObject({ kind: 'waiting' })
  })

  it('may have its ids in upper case', async () => {
    const { workId } = await client.enqueueNow(letter, {})
    const upper = workId.toUpperCase()
    expect(await getWork(client.reader, letter, upper)).toMatchObject({ kind: 'waiting' })
    const which = { job: letter, ids: [upper] }
    expect(await client.cancelWork(which, by)).toMatchObject({ done: 1 })
  })
})
