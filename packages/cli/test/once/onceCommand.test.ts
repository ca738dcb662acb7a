import { defineJob, withEngineJobs } from '@roundsman/engine'
import { collectOutput, createTestDatabase, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Product, RunPlace } from '../../src/command/product.ts'
import { exitCodeOf } from '../../src/command/runCommand.ts'
import { createOnceCommand } from '../../src/once/onceCommand.ts'

const parcel = defineJob({ name: 'parcel', description: 'Sends a parcel.' })
const letter = defineJob({ name: 'letter', description: 'Sends a letter.' })
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

let database: TestDatabase
let client: pg.Pool
beforeAll(async () => {
  database = await createTestDatabase()
  client = new pg.Pool({ connectionString: database.url, max: 2 })
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

/** Runs `once` for a product whose worker has these settings. */
async function once(args: string[], worker: RunPlace['worker'] = {}) {
  const product: Pick<Product, 'jobs' | 'withHandlers'> = {
    jobs: withEngineJobs([parcel, letter]),
    withHandlers: (work) =>
      work({
        databaseUrl: database.url,
        schema: 'public',
        client,
        handlers: { parcel: async () => ({ sent: 1 }) },
        worker,
        log: silent,
      }),
  }
  const command = createOnceCommand({
    call: 'roundsman once',
    deadLetterList: 'roundsman dead-letters',
    open: async () => product,
  })
  const { stdout, stderr, texts } = collectOutput()
  const listenForStop = () => new AbortController().signal
  const code = await exitCodeOf(command, args, { variables: {}, stdout, stderr, listenForStop })
  return { code, ...texts() }
}

it('tells the observers of the product', async () => {
  const seen: string[] = []
  const observers = [{ runStarted: ({ name }: { name: string }) => void seen.push(name) }]

  expect(await once(['parcel'], { observers })).toMatchObject({ code: 0 })
  expect(seen).toEqual(['parcel'])
})

it("runs the engine's own job, unless the product keeps its records for ever", async () => {
  expect(await once(['pruneJobRuns'])).toMatchObject({ code: 0 })
  expect(await once(['pruneJobRuns'], { retention: false })).toMatchObject({
    code: 1,
    stderr: 'pruneJobRuns would delete what `retention: false` keeps\n',
  })
})

it('names the job that has no handler', async () => {
  expect(await once(['letter'])).toMatchObject({
    code: 1,
    stderr: '`open` of roundsman.config.ts gives no handler of letter\n',
  })
})
