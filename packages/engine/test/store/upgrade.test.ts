import { waitFor } from '@roundsman/testing'
import { getRollbackPlans } from 'pg-boss'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { createWorker } from '../../src/worker.ts'
import { migrate } from '../../src/migrate.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '' })
const WAITING = 5
/** The schema version of pg-boss 12.30. */
const OLD_SCHEMA = 40

let runtime: TestRuntime

beforeAll(async () => {
  runtime = await openTestRuntime([parcel])
})

afterAll(() => runtime.close())

it('work of an older schema of the queue is done after its upgrade', async () => {
  const { rows, database, url, log } = runtime
  const { client, queue, take, close } = await openTestQueue(runtime, [parcel])
  const enqueue = () => runtime.prisma.$transaction((tx) => client.enqueue(tx, parcel, {}))
  await enqueue()
  const given = await take('parcel', 1)
  const error = { code: 'x', message: '' }
  await database.transaction((tx) => queue.fail(tx, given, error, 'giveUp'))
  for (let n = 0; n < WAITING; n++) await enqueue()
  await close()
  const indexes = await readIndexes()
  const [{ version: current } = { version: 0 }] = await versions()
  for (let version = current; version > OLD_SCHEMA; version--) {
    await rows(getRollbackPlans('pgboss', version))
  }
  // Our own indexes were not there either.
  await rows('drop index pgboss.roundsman_given_up, pgboss.roundsman_unique_keys')
  await rows('update pgboss.queue set notify = true, retention_seconds = 60')
  expect(await versions()).toEqual([{ version: OLD_SCHEMA }])
  expect(await readIndexes()).not.toEqual(indexes)
  const worker = createWorker({
    schema: 'public',
    retention: false,
    databaseUrl: url,
    client: runtime.prisma,
    jobs: [parcel],
    handlers: { parcel: async () => undefined },
    log,
  })
  const tooEarly = await openTestQueue(runtime, [parcel]).catch((reason: unknown) => reason)
  expect(tooEarly).toMatchObject({ name: 'TablesError', kind: 'older' })

  await migrate({ schema: 'public', databaseUrl: url, jobs: [parcel], log })

  expect(await versions()).toEqual([{ version: current }])
  expect(await readIndexes()).toEqual(indexes)
  expect(
    await rows(
      `select notify, retention_seconds as "kept" from pgboss.queue where name = 'parcel'`,
    ),
  ).toEqual([{ notify: false, kept: 10 * 365 * 86_400 }])
  await worker.start()
  await waitFor(async () => (await successes()) === WAITING)
  await worker.stop()
  expect(await rows('select state::text, deletion_seconds as "kept" from pgboss.job')).toEqual([
    { state: 'failed', kept: 0 },
  ])

  async function versions() {
    return await rows<{ version: number }>('select version from pgboss.version')
  }

  /** Valid indexes only. */
  async function readIndexes() {
    const found = await rows<{ name: string }>(
      `select indexrelid::regclass::text as "name" from pg_index
       where indrelid::regclass::text like 'pgboss.job%' and indisvalid order by 1`,
    )
    return found.map(({ name }) => name)
  }

  async function successes() {
    return (await rows(`select from "JobRun" where "status" = 'success'`)).length
  }
})
