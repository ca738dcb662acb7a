import { createDatabaseClient, type Prisma, type PrismaClient } from '@roundsman/db'
import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createJobsClient } from '../../src/client.ts'
import { defineJob, type Handler } from '../../src/index.ts'
import { migrate } from '../../src/migrate.ts'
import { CANCEL_CHANNEL, CHANGES_CHANNEL, WORK_CHANNEL } from '../../src/store/channels.ts'
import { createSchema } from '../../src/store/schema.ts'
import { STEPS } from '../../src/store/steps.ts'
import { QUEUE_VERSION } from '../../src/store/tablesState.ts'
import { createWorker } from '../../src/worker.ts'

const log = pino({ level: 'silent' })
const ALL = [...STEPS.map(({ name }) => name), `queue ${QUEUE_VERSION}`]

let database: TestDatabase
let client: pg.Client
let prisma: PrismaClient

beforeEach(async () => {
  database = await createTestDatabase({ migrated: false })
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'host',
    onPoolError: () => undefined,
  })
})

afterEach(async () => {
  await prisma.$disconnect()
  await client.end()
  await database.drop()
})

const migrateIn = async (schema: string) => await migrate({ databaseUrl: database.url, schema })

it('makes everything once, and then finds nothing to do', async () => {
  expect(await migrateIn('roundsman')).toEqual(ALL)
  expect(await migrateIn('roundsman')).toEqual([])
})

it('of eight at once one migrates, and none fails', async () => {
  const done = await Promise.all(Array.from({ length: 8 }, () => migrateIn('roundsman')))
  expect(done.filter(({ length }) => length > 0)).toEqual([ALL])
})

describe('in three schemas of one database', () => {
  const NAMES = ['public', 'order', 'Tall Ships, 2nd']
  const wave = defineJob({ name: 'wave', description: '' })
  let stops: (() => Promise<void>)[]

  beforeEach(() => void (stops = []))
  afterEach(async () => void (await Promise.all(stops.map((stop) => stop()))))

  it('a worker in each does its own work, and hears of no other', async () => {
    const heard: [schema: string, payload: string][] = []
    const channels = new Map(
      NAMES.flatMap((name) =>
        [WORK_CHANNEL, CANCEL_CHANNEL, CHANGES_CHANNEL].map((channel) => [
          createSchema(name).channel(channel),
          name,
        ]),
      ),
    )
    client.on('notification', ({ channel, payload = '' }) => {
      heard.push([channels.get(channel)!, payload])
    })
    expect(channels.size).toBe(9)
    for (const channel of channels.keys()) await client.query(`listen "${channel}"`)
    for (const schema of NAMES) await migrateIn(schema)
    const products = await Promise.all(NAMES.map(startProduct))

    for (const [done, { greet, producer }] of products.entries()) {
      await prisma.$transaction((tx) => producer.enqueue(tx, greet, {}))
      await waitFor(async () => (await countSuccesses(NAMES[done]!)) === 2)
      const counts = []
      for (const name of NAMES) counts.push(await countSuccesses(name))
      expect(counts).toEqual(NAMES.map((_, at) => (at <= done ? 2 : 0)))
    }
    // What is announced comes up to a quarter of a second later.
    await waitFor(() => NAMES.every((name) => heard.filter(([of]) => of === name).length >= 2))
    for (const [schema, payload] of heard) {
      const others = NAMES.filter((name) => name !== schema).map(nameOf)
      expect(others.filter((name) => payload.includes(name))).toEqual([])
    }
  })

  const nameOf = (schema: string) => `greet${NAMES.indexOf(schema)}`

  /** A worker and a client of its own. */
  async function startProduct(schema: string) {
    const greet = defineJob({ name: nameOf(schema), description: '' })
    const options = { databaseUrl: database.url, schema, log }
    const handler: Handler<unknown, Prisma.TransactionClient> = async ({ batch, enqueue }) => {
      await batch(async (tx) => {
        await enqueue(tx, wave, {})
        return { greeted: 1 }
      })
    }
    const worker = createWorker({
      ...options,
      client: prisma,
      jobs: [greet, wave],
      handlers: { [greet.name]: handler, wave: async () => undefined },
    })
    const producer = createJobsClient(options)
    stops.push(
      () => worker.stop(),
      () => producer.stop(),
    )
    await worker.start()
    await producer.start()
    return { greet, producer }
  }

  async function countSuccesses(schema: string): Promise<number> {
    const { rows } = await client.query(
      `select count(*)::int as n from "${schema}"."JobRun" where status = 'success'`,
    )
    return rows[0].n
  }
})
