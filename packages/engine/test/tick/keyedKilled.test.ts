// Processes: kills workers while they decide ticks.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { nextTicks } from '../../src/internal.ts'
import { beat } from '../fixtures/beat.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

/*
 * More of both, in half an hour:
 *   KEYED_KILLS=300 KEYED_ENTRIES=10000 pnpm exec vitest run --project processes packages/engine/test/tick/keyedKilled.test.ts
 */
const KILLS = Number(process.env['KEYED_KILLS'] ?? 6)
const ENTRIES = Number(process.env['KEYED_ENTRIES'] ?? 240)
const CHANGED_AT_ONCE = 10
const WORKERS = 2
const PROCESS = new URL('../fixtures/keyedProcess.ts', import.meta.url).pathname

const { runtime, client } = useClientRuntime()
const count = (sql: string) => runtime.value<number>(`select count(*)::int as n from ${sql}`)

/** Due once a minute, at a second that each version of an entry has for itself. */
const entry = (n: number, change: number) => ({
  key: `entry-${n}`,
  cron: `${(n * 7 + change * 13) % 60} * * * * *`,
  payload: { n },
  missed: 'all' as const,
  overlap: 'allow' as const,
})

it('each due instant of each version is decided and enqueued once, however many workers are killed while schedules change', async () => {
  // Where each version begins: it has the ticks from there to where the next one begins.
  await runtime.rows(
    'create table "History" ("key" text, "version" int, "cron" text, "cursor" timestamptz)',
  )
  await runtime.rows(`
      create function keep_history() returns trigger language plpgsql as $$
      begin insert into "History" values (new."key", new."version", new."cron", new."cursor"); return new; end $$`)
  await runtime.rows(`
      create trigger keep_history after update on "JobSchedule"
      for each row when (old."version" <> new."version") execute function keep_history()`)
  const all = Array.from({ length: ENTRIES }, (_, n) => entry(n, 0))
  // A transaction of Prisma's ends after five seconds.
  await client.schedules.upsertMany(null, beat, all)

  const start = () => spawnProcess(PROCESS, { args: [runtime.url] })
  const workers = Array.from({ length: WORKERS }, start)
  for (let kill = 1; kill <= KILLS; kill++) {
    const before = await count('"JobTick"')
    await waitFor(async () => (await count('"JobTick"')) > before, {
      message: 'Ticks are decided',
      timeoutMs: 120_000,
    })
    // Those that are due, and that nobody has decided yet, or that are due in a moment: a fast worker decides within milliseconds.
    const changed = await waitFor(
      async () => {
        const due = await runtime.rows<{ n: number }>(
          `select ("payload" ->> 'n')::int as n from "JobSchedule" where "dueAt" <= clock_timestamp() + interval '50 ms' limit ${CHANGED_AT_ONCE}`,
        )
        return due.length > 0 && due.map(({ n }) => n)
      },
      { intervalMs: 20 },
    )
    const [killed] = workers.splice(0, 1, start())
    await Promise.all([
      client.schedules.upsertMany(
        null,
        beat,
        changed.map((n) => entry(n, kill)),
      ),
      killed?.kill('SIGKILL'),
    ])
    workers.push(...workers.splice(0, 1))
  }
  const until = new Date()
  await waitFor(
    async () => {
      const sql = '"JobSchedule" where "dueAt" <= $1'
      return (await runtime.rows(`select from ${sql} limit 1`, [until])).length === 0
    },
    { message: 'All that was due is decided', timeoutMs: 120_000 },
  )
  await Promise.all(workers.map((worker) => worker.kill('SIGKILL')))

  const history = await runtime.rows<{ key: string; version: number; cron: string; cursor: Date }>(
    'select * from "History" order by "key", "version"',
  )
  const expected: string[] = []
  for (const [at, { key, version, cron, cursor }] of history.entries()) {
    const next = history[at + 1]
    const end = next?.key === key ? next.cursor : until
    for (const tick of nextTicks({ cron, timeZone: 'UTC' }, cursor)) {
      if (tick > end) break
      expected.push(`${key} ${tick.toISOString()} v${version}`)
    }
  }
  const ticks = await runtime.rows<{
    key: string
    at: Date
    version: number
    workId: string
    outcome: string
  }>(
    `select "key", "scheduledFor" as at, "version", "workId", "outcome" from "JobTick" where "scheduledFor" <= $1`,
    [until],
  )
  expect(ticks.filter(({ outcome }) => outcome !== 'enqueued')).toEqual([])
  expect(
    ticks.map(({ key, at, version }) => `${key} ${at.toISOString()} v${version}`).toSorted(),
  ).toEqual(expected.toSorted())
  expect(ticks.length).toBeGreaterThan(KILLS)
  // All work that there ever was is in the queue, in a claim or on record; each has its tick, and each tick has it.
  const strays = await runtime.rows(`
      with work as (
        select "id", "facts" ->> 'enqueuedBy' as origin, ("facts" ->> 'scheduledFor')::timestamptz as at from "JobWork"
        union select "workId", "enqueuedBy", "scheduledFor" from "JobRunAll"
      )
      select work.*, tick."key" from work full join "JobTick" tick on tick."workId" = work.id
      where work.id is null or tick."workId" is null or work.at <> tick."scheduledFor" or work.origin <> 'schedule ' || tick."key"`)
  expect(strays).toEqual([])
}, 3_600_000)
