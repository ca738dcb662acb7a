import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createJobsClient } from '../../src/client/createJobsClient.ts'
import { watchChanges, type Announcement, type ChangesWatch } from '../../src/read/watchChanges.ts'
import { createAnnouncer } from '../../src/read/announcer.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()
let watch: ChangesWatch
let heard: Announcement[]

beforeAll(async () => {
  const isHeard = Promise.withResolvers<void>()
  watch = watchChanges({
    schema: 'public',
    databaseUrl: runtime.url,
    log: runtime.log,
    // The probe is announced until it is heard, and may be heard again later.
    onChange: (announcement) =>
      void (announcement.ticks[0] === 'probe' ? isHeard.resolve() : heard.push(announcement)),
    onGap: () => undefined,
  })
  const probe = setInterval(() => void announce(({ tick }) => tick('probe')), 100)
  await isHeard.promise
  clearInterval(probe)
})

afterAll(() => watch.close())

beforeEach(() => void (heard = []))

/** Announces at once. Returns how many statements that took. */
async function announce(
  changes: (announcer: ReturnType<typeof createAnnouncer>) => void,
): Promise<number> {
  let statements = 0
  const announcer = createAnnouncer(
    {
      schema: runtime.database.schema,
      query: (...args) => (statements++, runtime.database.query(...args)) as never,
    },
    runtime.log,
  )
  changes(announcer)
  await announcer.stop()
  return statements
}

const jobs = (count: number) =>
  Array.from({ length: count }, (_, index) => `aJobWhoseNameIsRatherLong${index}`)

describe('createAnnouncer', () => {
  it('says with one notification what has changed of many jobs', async () => {
    const names = jobs(100)
    const statements = await announce(({ tick }) => names.forEach(tick))
    await waitFor(() => heard.length)
    expect([statements, heard]).toEqual([1, [{ ids: [], names: [], ticks: names }]])
  })

  it('says with one statement what one notification does not hold', async () => {
    const names = jobs(1_000)
    const statements = await announce(({ tick, run }) => {
      names.forEach(tick)
      for (const name of names) run({ id: crypto.randomUUID(), name })
    })
    await waitFor(() => heard.flatMap(({ ticks }) => ticks).length >= names.length)
    expect(statements).toBe(1)
    expect(heard.flatMap(({ ticks }) => ticks)).toEqual(names)
    expect(heard.flatMap(({ names: of }) => of)).toEqual(names)
  })
})

it('leaves no timer where something came while it was saying something else', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const gate = Promise.withResolvers<void>()
    const said: unknown[] = []
    const announcer = createAnnouncer(
      {
        schema: runtime.database.schema,
        async query(_statement, values) {
          said.push(values)
          await gate.promise
          return { rows: [], rowCount: 0 }
        },
      },
      runtime.log,
    )
    announcer.tick('first')
    vi.advanceTimersByTime(250)
    announcer.tick('second')
    const stopped = announcer.stop()
    gate.resolve()
    await stopped
    expect(said).toHaveLength(2)
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

it('tells all who watch by one connection of their client, until the last has left', async () => {
  const client = createJobsClient({ databaseUrl: runtime.url, schema: 'public', log: runtime.log })
  const told: string[] = []
  const watchAs = (name: string) =>
    client.watchChanges({
      onChange: ({ ticks }) => void (ticks[0] === name && told.push(name)),
      onGap: () => undefined,
    })
  const listening = async () => {
    const { rows } = await runtime.database.query<{ count: number }>(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and application_name = 'roundsman changes'`,
    )
    return rows[0]?.count
  }
  const before = await listening()
  const watches = [watchAs('one'), watchAs('other')]
  try {
    const hears = async (name: string) => {
      told.length = 0
      await waitFor(async () => {
        await announce(({ tick }) => tick(name))
        return told.includes(name)
      })
    }
    await hears('one')
    await hears('other')
    expect(await listening()).toBe(before! + 1)
    await watches[0]?.close()
    await hears('other')
    await watches[1]?.close()
    await waitFor(async () => (await listening()) === before)
    watches.push(watchAs('late'))
    await hears('late')
  } finally {
    await client.stop()
  }
  await waitFor(async () => (await listening()) === before)
})
