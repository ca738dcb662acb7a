// Not quick: claims, ends, kills and changes of limits beside each other.
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { createSchema } from '../../src/store/schema.ts'
import { openDatabase, type Database } from '../../src/store/database.ts'
import { endRuns } from '../../src/store/endRuns.ts'
import type { TakenWork } from '../../src/store/claimWork.ts'
import { readRules } from '../../src/store/limitSql.ts'
import { PLACE_SQL } from '../../src/store/place.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createLimits } from '../../src/work/limits.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const sync = defineJob({ name: 'sync' })
const mail = defineJob({ name: 'mail' })
const jobs = [sync, mail]
const runtime = useTestRuntime()
// Its session has the worker live.
openForTests(() => openTestQueue(runtime, jobs))

const limit = fc.option(fc.integer({ min: 1, max: 4 }))
const change = fc.record({
  what: fc.constantFrom('shared', 'global', 'perKey', 'key'),
  value: limit,
})
const story = fc.record({
  shared: limit,
  global: limit,
  perKey: limit,
  order: fc.constantFrom('fair', 'fifo'),
  keys: fc.integer({ min: 1, max: 6 }),
  pieces: fc.integer({ min: 10, max: 40 }),
  claimers: fc.integer({ min: 2, max: 5 }),
  // What each does next: the claims' sizes, and how each run ends.
  sizes: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 10 }),
  ends: fc.array(fc.constantFrom('done', 'done', 'again', 'dead', 'later'), {
    minLength: 3,
    maxLength: 30,
  }),
  changes: fc.array(change, { maxLength: 6 }),
  kills: fc.integer({ min: 0, max: 6 }),
})

const RUNS = Number(process.env['LIMIT_STORIES'] ?? 6)

it(
  'never lets more run than a limit allows, and leaves nothing lying',
  { timeout: 600_000 },
  async () => {
    await fc.assert(fc.asyncProperty(story, tell), { numRuns: RUNS, endOnFailure: true })
  },
)

async function tell(
  told: typeof story extends fc.Arbitrary<infer Told> ? Told : never,
): Promise<void> {
  await runtime.clear('JobLimit', 'JobKey', 'JobPark', 'JobThrottle', 'JobKeyThrottle')
  await runtime.rows(
    `insert into "JobLimit" ("name", "global", "perKey", "order", "jobs") values
       ('job:sync', $1, $2, $3, null), ('shared', $4, null, null, array['sync', 'mail'])`,
    [told.global, told.perKey, told.order, told.shared],
  )
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "bytes", "payload", "key")
     select gen_random_uuid(), case when n % 4 = 0 then 'mail' else 'sync' end, 2, '{}',
            case when n % 4 > 0 then case when n % 7 = 0 then '' else 'k' || n % $2::int end end
     from generate_series(1, $1::int) n`,
    [told.pieces, told.keys],
  )
  const endings = [...told.ends, 'done']
  const databases = Array.from({ length: told.claimers }, () => open())
  const above: unknown[] = []
  // Of each key the ids in the order in which they succeeded.
  const done: { key: string; id: string }[] = []
  let isOver = false
  const watch = async () => {
    while (!isOver) above.push(...(await runtime.rows('select * from "JobLimitViolation"')))
  }
  const claimers = databases.map((database, at) => takeTurns(database, at))
  try {
    await Promise.all([watch(), disturb(), Promise.all(claimers).finally(() => (isOver = true))])
  } finally {
    isOver = true
    await Promise.all(databases.map((database) => database.close()))
  }
  expect(above).toEqual([])
  expect(done).toHaveLength(told.pieces)
  // Of each key, the order of their ids.
  const ofKeys = [...Map.groupBy(done, ({ key }) => key)].filter(([of]) => of !== '')
  const inOrder = ofKeys.map(([, pieces]) => pieces.toSorted((x, y) => (x.id < y.id ? -1 : 1)))
  const isFifo = told.order === 'fifo'
  expect(isFifo ? ofKeys.map(([, pieces]) => pieces) : []).toEqual(isFifo ? inOrder : [])

  async function takeTurns(database: Database, at: number): Promise<void> {
    const limits = createLimits()
    const claimer = createClaimer({ database, workerId: 'w1', now: () => new Date(), limits })
    const held: TakenWork[] = []
    let ends = at
    for (let turn = at; !(await isDone()); turn++) {
      if (turn > 2_000)
        throw new Error(`stuck: ${JSON.stringify(await runtime.rows(`select * from "JobWork"`))}`)
      limits.note(
        await readRules(
          runtime.database,
          jobs.map(({ name }) => name),
        ),
      )
      const job = jobs[turn % 2] as (typeof jobs)[number]
      const size = told.sizes[turn % told.sizes.length] as number
      const { work } = await claimer.claim(job, size, { isAsked: true }).catch(() => ({ work: [] }))
      held.push(...work)
      // The oldest first; some go on for a while.
      for (const taken of held.splice(0, Math.ceil(held.length / 2))) {
        const how = endings[ends++ % endings.length] as string
        if (how === 'later') held.push(taken)
        else await end(taken, how)
      }
    }
  }

  async function end(taken: TakenWork, how: string): Promise<void> {
    const { run, held, key } = taken
    held.open--
    const next =
      how === 'again' ? { kind: 'again' as const, delayMs: 0 } : { kind: how as 'done' | 'dead' }
    const error = how === 'done' ? null : { code: 'broken', message: 'broken' }
    const over = held.open === 0 ? [held.id] : []
    const ended = {
      runId: run.id,
      claimId: held.id,
      endedAt: new Date(),
      error,
      details: null,
      next,
    }
    if (how === 'done') done.push({ key: key ?? '', id: run.workId as string })
    expect((await endRuns(runtime.database, 'w1', [ended], over)).size).toBe(1)
    if (how === 'dead') {
      const { rowCount } = await runtime.database.query(
        `with letter as (delete from "JobDeadLetter" where "id" = $1 returning *)
         insert into "JobWork" ("id", "name", "bytes", "payload", "key", "attempt") select "id", "name", "bytes", "payload", "key", "attempt" + 1 from letter`,
        [run.workId],
      )
      expect(rowCount).toBe(1)
    }
  }

  async function isDone(): Promise<boolean> {
    return done.length >= told.pieces || isOver
  }

  async function disturb(): Promise<void> {
    for (const { what, value } of told.changes) {
      await runtime.database.transaction(async (tx) => {
        const name = what === 'shared' ? 'shared' : 'job:sync'
        await tx.query(`update "JobLimit" set "changedPlace" = ${PLACE_SQL} where "name" = $1`, [
          name,
        ])
        if (what === 'key')
          await tx.query(
            `insert into "JobKey" ("name", "key", "perKey") values ('sync', 'k0', $1)
             on conflict ("name", "key") do update set "perKey" = excluded."perKey"`,
            [value],
          )
        else
          await tx.query(
            `update "JobLimit" set "${what === 'perKey' ? 'perKey' : 'global'}" = $2 where "name" = $1`,
            [name, value],
          )
      })
    }
    for (let kill = 0; kill < told.kills; kill++)
      await runtime.rows(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'claims' order by random() limit 1`,
      )
  }
}

function open(): Database {
  const { url, log } = runtime
  const schema = createSchema('public')
  return openDatabase({
    schema,
    url,
    applicationName: 'claims',
    poolSize: 2,
    isSession: true,
    log,
  })
}
