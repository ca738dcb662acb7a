import { describe, expect, it } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import { createWorker } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()

const job = (name: string, isolate?: true): Job =>
  defineJob({ name, ...(isolate && { isolate: {} }) })
const letter = job('letter')
const report = job('report')
const handler = async () => undefined

const make = (jobs: Job[], handlers: object, more: object = {}) =>
  createWorker({ ...runtime.workerOptions, jobs, handlers: handlers as never, ...more } as never)

const byGetter = {
  get letter(): never {
    throw new Error('nobody may read it before work is there')
  },
}

class Handlers {
  async letter() {}
}

describe('a worker is not made', () => {
  it.each<[string, Job[], object, string]>([
    [
      'without a handler',
      [letter, report],
      { letter: handler },
      'handlers.report is missing; add the handler, or take the job out of jobs',
    ],
    [
      'without a handler, where every object has a function of that name',
      [job('toString')],
      {},
      'handlers.toString is missing; add the handler, or take the job out of jobs',
    ],
    [
      'with a handler that is none',
      [letter],
      { letter: { handler } },
      'handlers.letter must be a function, not an object',
    ],
    [
      'with a misspelt handler',
      [letter],
      { leter: handler },
      'handlers.leter is of no job in jobs; did you mean letter?',
    ],
    [
      'with a job that is listed twice',
      [letter, report, letter],
      { letter: handler, report: handler },
      'jobs[2] is a second job with the name letter; leave one out',
    ],
  ])('%s', (_, jobs, handlers, problem) => {
    expect(() => make(jobs, handlers)).toThrow(problem)
  })
})

describe('a worker is made', () => {
  it.each<[string, Job[], object, object?]>([
    ['with handlers that are loaded when they are read', [letter], byGetter],
    ['with a Proxy that loads handlers', [letter], new Proxy({}, { get: () => handler })],
    ['with handlers of a class', [letter], new Handlers()],
    ['with a handler of no job, and says so', [letter], { letter: handler, invoice: handler }],
    [
      'without the handlers of jobs whose work others take',
      [letter, report],
      { letter: handler },
      { only: ['letter'] },
    ],
    [
      'without the handlers of isolated jobs, which are in another file',
      [letter, job('render', true)],
      { letter: handler },
      { handlersModule: import.meta.url },
    ],
  ])('%s', async (_, jobs, handlers, more) => {
    await expect(make(jobs, handlers, more).stop()).resolves.toBeUndefined()
  })
})

it('tests of jobs refuse the same', async () => {
  const open = (jobs: Job[], handlers: object) =>
    openTestJobs({
      databaseUrl: runtime.url,
      client: runtime.prisma,
      jobs,
      handlers: handlers as never,
    })
  await expect(open([letter, report], { letter: handler })).rejects.toThrow(
    'handlers.report is missing',
  )
  await expect(open([letter, letter], { letter: handler })).rejects.toThrow(
    'jobs[1] is a second job with the name letter',
  )
})
