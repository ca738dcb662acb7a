import { beforeEach, describe, expect, it } from 'vitest'
import { searchWork } from '../../src/internal.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()
const ID = '01a20e26-367c-766a-a085-72e882269712'

beforeEach(async () => {
  await runtime.clear('JobWork', 'JobDeadLetter', 'JobSchedule', 'JobKey', 'JobLimit')
  await runtime.rows(`
    insert into "JobWork" ("id", "name", "bytes", "payload", "label", "key")
    values ('${ID}', 'sync', 2, '{}', 'Orders of Osaka', 'osaka-12'), (gen_random_uuid(), 'mail', 2, '{}', 'Hello', null)`)
  await runtime.rows(`
    insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "label", "errorCode", "errorMessage")
    values (gen_random_uuid(), 'mail', 2, '{}', 'Greeting to Osaka', 'broken', '')`)
  await runtime.rows(`
    insert into "JobSchedule" ("name", "key", "cron", "timeZone", "cursor", "nextAt")
    values ('report', 'osaka-12', '0 9 * * *', 'UTC', now(), now() + interval '1 day'),
      ('report', '', '0 9 * * *', 'UTC', now(), now() + interval '1 day')`)
})

const find = async (text: string) => {
  const { schedules, keys, work } = await searchWork(runtime.reader, text)
  return {
    schedules: schedules.map(({ name, key }) => `${name} ${key}`),
    keys: keys.map(({ name, key }) => `${name} ${key}`),
    work: work.map(({ name, label, isDeadLetter }) => `${name} ${label} ${isDeadLetter}`),
  }
}

describe('a search', () => {
  it('finds schedules, keys, waiting work and dead letters by a part of key or label, in any case', async () => {
    expect(await find('OSAKA')).toEqual({
      schedules: ['report osaka-12'],
      keys: ['sync osaka-12'],
      work: ['sync Orders of Osaka false', 'mail Greeting to Osaka true'],
    })
    expect(await find('osaka-12')).toMatchObject({
      schedules: ['report osaka-12'],
      keys: ['sync osaka-12'],
      work: ['sync Orders of Osaka false'],
    })
  })

  it('finds work by the beginning of its id', async () => {
    for (const text of [ID, ID.slice(0, 13)])
      expect(await find(text)).toEqual({
        schedules: [],
        keys: [],
        work: ['sync Orders of Osaka false'],
      })
  })

  it('finds keys that somebody has set without any work', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "order") values ('job:sync', 'fair')`)
    await runtime.rows(
      `insert into "JobKey" ("name", "key", "perKey") values ('sync', 'kyoto-1', 1)`,
    )
    expect((await find('kyoto-1')).keys).toEqual(['sync kyoto-1'])
  })

  it('finds whole keys and the beginnings of schedules behind the rows that it looks through', async () => {
    await runtime.rows(`
      insert into "JobSchedule" ("name", "key", "cron", "timeZone", "cursor", "nextAt")
      select 'report', 'a' || n, '0 9 * * *', 'UTC', now(), now() + interval '1 day'
      from generate_series(1, 10000) n`)
    await runtime.rows(`
      insert into "JobWork" ("id", "name", "bytes", "payload", "key")
      select gen_random_uuid(), 'sync', 2, '{}', 'a' || n from generate_series(1, 10000) n`)
    expect(await find('osaka-1')).toMatchObject({ schedules: ['report osaka-12'], keys: [] })
    expect(await find('osaka-12')).toMatchObject({
      schedules: ['report osaka-12'],
      keys: ['sync osaka-12'],
      work: ['sync Orders of Osaka false'],
    })
  })

  it('finds nothing for nothing, and takes any text', async () => {
    for (const text of ['', ' ', '%', "'", '\0', '\uD800', '\\', 'x'.repeat(300)])
      expect(await find(text)).toEqual({ schedules: [], keys: [], work: [] })
  })
})
