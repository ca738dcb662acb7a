import { HOLD_RUNS_SQL, useLivingWorkers } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  countEqualFailures,
  countRuns,
  findOldestStart,
  listJobActions,
  listLanesInUse,
  listOtherAttempts,
  listRecentRuns,
  listRunActions,
  listRunCounts,
  measureDuration,
  readPausedQueues,
  searchRuns,
  tallyRunsByHour,
} from '../../src/internal.ts'
import { listWorkers } from '../../src/client.ts'
import { NEUTRAL_CODES } from '../../src/read/countRuns.ts'
import { readFailures } from '../../src/judge/findFailing.ts'
import { findLastSign } from '../../src/read/listWorkers.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

/*
 * What is said of runs, by a look through all of them. They are inserted in any order, many of a job, some at the same instant,
 * so that "the latest", "the oldest" and "the first" are no matter of luck.
 */

const runtime = useTestRuntime()
useLivingWorkers(() => runtime.url, 'w3', 'w4')

interface Run {
  id: string
  name: string
  status: 'success' | 'failed' | 'running'
  code: string | null
  message: string
  startedAt: string
  endedAt: string | null
  dryRun: boolean
  label: string | null
  cleaned: number | null
  attempt: number
  workId: string
  workerId: string
}

const RUNS = 1_500
const NAMES = ['busy', 'other', 'idle']
const START_MS = Date.parse('2026-03-01T00:00:00Z')
const HOUR_MS = 3_600_000
const SPAN = { from: new Date(START_MS), to: new Date(START_MS + 6 * HOUR_MS) }
const iso = (ms: number) => new Date(ms).toISOString()
const uuid = (n: number) => `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`

/** Runs in the order in which they are inserted. */
const history = fc
  .tuple(
    fc.shuffledSubarray(
      Array.from({ length: 21_600 }, (_, second) => second),
      { minLength: RUNS, maxLength: RUNS },
    ),
    fc.array(fc.nat({ max: 2 ** 30 }), { minLength: RUNS, maxLength: RUNS }),
  )
  .map(([seconds, draws]) => {
    const runs = seconds.map((second, at): Run => {
      const draw = draws[at]!
      const code = ['a', 'b', 'c', ...NEUTRAL_CODES, null, null, null, null, null][draw % 12]!
      const isRunning = code === null && draw % 29 === 0
      const startMs = START_MS + second * 1_000
      return {
        id: uuid((at * 7_919) % 1_000_003),
        name: draw % 10 === 0 ? 'other' : 'busy',
        status: isRunning ? 'running' : code === null ? 'success' : 'failed',
        code,
        message: `${code} ${at}`,
        startedAt: iso(startMs),
        endedAt: isRunning ? null : iso(startMs + (draw % 61) * 1_000),
        dryRun: draw % 13 === 0,
        label: draw % 3 === 0 ? `Order ${draw % 17}` : null,
        cleaned: draw % 5 === 0 ? draw % 101 : null,
        attempt: (draw % 4) + 1,
        workId: uuid(9_000_000 + (draw % 39)),
        workerId: `w${draw % 2}`,
      }
    })
    // Some that succeeded began at the same instant.
    const succeeded = runs.filter(({ status }) => status === 'success')
    for (const [at, run] of succeeded.slice(0, 60).entries())
      Object.assign(run, {
        startedAt: succeeded[at - (at % 2)]!.startedAt,
        endedAt: iso(START_MS + 7 * HOUR_MS),
      })
    return runs
  })

async function insert(runs: readonly Run[]): Promise<void> {
  await runtime.rows('delete from "JobRun"')
  await runtime.rows('delete from "JobClaim"')
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "errorCode", "details", "startedAt", "endedAt", "dryRun", "label",
                           "attempt", "workId", "workerId")
     select run.id, run.name, run.status::"JobRunStatus", 'queue', run.code,
            jsonb_strip_nulls(jsonb_build_object('error', case when run.code is not null then jsonb_build_object('message', run.message, 'name', run."workerId") end, 'cleaned', run.cleaned)),
            run."startedAt", run."endedAt", run."dryRun", run.label, run.attempt, run."workId", run."workerId"
     from rows from (jsonb_to_recordset($1::jsonb) as (id uuid, name text, status text, code text, message text, "startedAt" timestamptz,
            "endedAt" timestamptz, "dryRun" boolean, label text, cleaned int, attempt int, "workId" uuid, "workerId" text))
          with ordinality run(id, name, status, code, message, "startedAt", "endedAt", "dryRun", label, cleaned, attempt, "workId", "workerId", nth)
     order by run.nth`,
    [JSON.stringify(runs)],
  )
  await runtime.rows(HOLD_RUNS_SQL)
}

const compare = <Value extends string | number>(one: Value, other: Value) =>
  one < other ? -1 : Number(one > other)
const byStart = (one: Run, other: Run) =>
  compare(one.startedAt, other.startedAt) || compare(one.id, other.id)
const latestFirst = (runs: readonly Run[]) => runs.toSorted(byStart).toReversed()
const idsOf = (runs: readonly { id: string }[]) => runs.map(({ id }) => id)
const tookMs = ({ startedAt, endedAt }: Run) => Date.parse(endedAt!) - Date.parse(startedAt)
const isNeutral = (code: string | null) =>
  (NEUTRAL_CODES as readonly (string | null)[]).includes(code)
/** As the run's own page says. */
const isStopped = (code: string | null) => isNeutral(code) && code !== 'rate_limited'

/** Without what computing in another order leaves behind the point. */
function rounded<Row extends object>(row: Row): Row {
  const round = (value: unknown) => (typeof value === 'number' ? Math.round(value) : value)
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, round(value)])) as Row
}

function percentile(share: number, values: readonly number[]): number | null {
  const sorted = values.toSorted((one, other) => one - other)
  const place = share * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return low === undefined ? null : low + (high! - low) * (place % 1)
}

/** Sums numbers by key, as the outcome of runs in a span is told. */
function outcomes(runs: readonly Run[]) {
  return {
    success: runs.filter(({ status }) => status === 'success').length,
    failed: runs.filter(({ code }) => code !== null && !isStopped(code)).length,
    stopped: runs.filter(({ code }) => isStopped(code)).length,
    running: runs.filter(({ status }) => status === 'running').length,
  }
}

it('says of runs what a look through all of them says, in whatever order they were written', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (runs) => {
      await insert(runs)
      const { reader } = runtime
      const of = (name: string) => latestFirst(runs.filter((run) => run.name === name))
      const ended = (name: string) =>
        of(name).filter(({ status, dryRun }) => status !== 'running' && !dryRun)

      const perJob = (all: (name: string) => Run[], most: number) =>
        idsOf(NAMES.toSorted().flatMap((name) => all(name).slice(0, most)))
      expect(idsOf(await listRecentRuns(reader, NAMES, { limit: 7 }))).toEqual(perJob(of, 7))
      expect(idsOf(await listRecentRuns(reader, NAMES, { limit: 9, areEnded: true }))).toEqual(
        perJob(ended, 9),
      )
      for (const name of NAMES) {
        expect(await findOldestStart(reader, name)).toBe(of(name).at(-1)?.startedAt ?? null)
        const last = ended(name).slice(0, 1_000).map(tookMs)
        expect(rounded(await measureDuration(reader, name))).toEqual(
          rounded({
            p50Ms: percentile(0.5, last),
            p95Ms: percentile(0.95, last),
            runs: last.length,
          }),
        )
        const counted = ended(name)
          .slice(0, 30)
          .filter(({ cleaned }) => cleaned !== null)
          .toReversed()
        expect(
          (await listRunCounts(reader, name, 30)).map(({ id, counts }) => [id, counts['cleaned']]),
        ).toEqual(counted.map(({ id, cleaned }) => [id, cleaned]))

        const tallied = Map.groupBy(
          of(name)
            .filter(({ dryRun, startedAt }) => !dryRun && startedAt >= iso(START_MS + HOUR_MS))
            .slice(0, 400),
          ({ startedAt }) => `${startedAt.slice(0, 13)}:00:00.000Z`,
        )
        const tally = await tallyRunsByHour(reader, {
          name,
          from: new Date(START_MS + HOUR_MS),
          maxRuns: 400,
        })
        expect(
          tally.map((hour) => ({
            ...hour,
            hour: iso(Date.parse(hour.hour)),
          })),
        ).toEqual(
          [...tallied]
            .toSorted(([one], [other]) => compare(one, other))
            .map(([hour, rows]) => ({ hour, runs: rows.length, ...outcomes(rows) })),
        )
      }

      const since = new Date(START_MS + 2 * HOUR_MS)
      const [failing] = await readFailures(
        reader,
        [{ name: 'busy', timeoutMs: 24 * HOUR_MS }],
        new Date(since.getTime() + HOUR_MS),
      )
      const judged = ended('busy').filter(({ code }) => !isNeutral(code))
      const recent = judged.filter(({ endedAt }) => endedAt! >= since.toISOString())
      const failures = recent.filter(({ code }) => code !== null)
      const lastThree = judged.slice(0, 3).map(({ code }) => code !== null)
      expect(failing && [failing.runs, failing.failed, failing.inARow]).toEqual(
        failures.length === 0
          ? undefined
          : [recent.length, failures.length, [...lastThree, false].indexOf(false)],
      )
      const spans = await countRuns(reader, [SPAN.from, since], HOUR_MS)
      for (const from of [SPAN.from, since])
        for (const name of ['busy', 'other'])
          expect(
            spans.find((row) => row.name === name && Date.parse(row.from) === from.getTime()),
          ).toMatchObject(
            outcomes(
              of(name).filter(
                ({ startedAt }) =>
                  startedAt >= from.toISOString() && startedAt < iso(from.getTime() + HOUR_MS),
              ),
            ),
          )

      const [failed] = of('busy').filter(({ code }) => code === 'a')
      const alike = of('busy').filter(
        ({ code, workerId }) => code === 'a' && workerId === failed!.workerId,
      )
      expect(
        await countEqualFailures(reader, {
          id: failed!.id,
          name: 'busy',
          startedAt: failed!.startedAt,
        }),
      ).toEqual({ count: alike.length, since: alike.at(-1)!.startedAt, isCut: false })

      expect((await listLanesInUse(reader)).map(rounded)).toEqual(modelOfLanes(runs).map(rounded))

      const [{ id, workId }] = of('busy') as [Run]
      const attempts = runs.filter((run) => run.workId === workId && run.id !== id)
      expect(idsOf(await listOtherAttempts(reader, { id, workId }))).toEqual(
        idsOf(
          attempts.toSorted((one, other) => one.attempt - other.attempt || byStart(one, other)),
        ),
      )
      await expectFound(runs)
    }),
    // To shrink so many runs takes minutes, and says no more.
    { numRuns: 3, endOnFailure: true },
  )
})

function modelOfLanes(runs: readonly Run[]) {
  const running = runs.filter(({ status }) => status === 'running').toSorted(byStart)
  const lanes = Map.groupBy(running, ({ workerId, name }) => `${workerId} ${name}`)
  return [...lanes.values()]
    .map((rows) => {
      const { workerId, name, id, label, startedAt } = rows[0]!
      return {
        workerId,
        name,
        count: rows.length,
        oldestRunId: id,
        oldestLabel: label,
        oldestStartedAt: startedAt,
        progress: null,
      }
    })
    .toSorted(
      (one, other) =>
        compare(one.oldestStartedAt, other.oldestStartedAt) || compare(one.name, other.name),
    )
}

/** Searches for labels, codes and ids. */
async function expectFound(runs: readonly Run[]): Promise<void> {
  const all = latestFirst(runs)
  const byLabel = await searchRuns(runtime.reader, 'order 1')
  const labels = Map.groupBy(
    all.filter(({ label }) => label?.startsWith('Order 1')),
    ({ label }) => label!,
  )
  expect(byLabel.labels.map(({ label, run }) => [label, run.startedAt])).toEqual(
    [...labels].slice(0, 5).map(([label, [run]]) => [label, run!.startedAt]),
  )
  const failed = all.filter(({ code }) => code !== null)
  const errors = Map.groupBy(
    failed.slice(0, 1_000).filter(({ code }) => code!.includes('e')),
    ({ code }) => code!,
  )
  expect(
    (await searchRuns(runtime.reader, 'E', { messages: true })).errors.map(
      ({ code, count, message, lastAt }) => ({
        code,
        count,
        message,
        lastAt,
      }),
    ),
  ).toEqual(
    [...errors].slice(0, 5).map(([code, rows]) => ({
      code,
      count: failed.filter((run) => run.code === code).length,
      message: rows[0]!.message,
      lastAt: rows[0]!.startedAt,
    })),
  )
  const last = (column: 'id' | 'workId') =>
    runs.toSorted((one, other) => compare(other[column], one[column])).slice(0, 5)
  const { runs: found } = await searchRuns(runtime.reader, '018900')
  expect(found.map(({ startedAt }) => startedAt)).toEqual(
    found
      .map(({ startedAt }) => startedAt)
      .toSorted()
      .toReversed(),
  )
  const highest = last('workId')[0]!.workId
  const mayBe = new Set(idsOf([...last('id'), ...runs.filter(({ workId }) => workId === highest)]))
  expect(found.filter(({ id }) => !mayBe.has(id))).toEqual([])
  expect(found).toHaveLength(5)
}

it('searches the latest runs, and all for labels that begin with the text', async () => {
  await runtime.rows('delete from "JobRun"')
  // Each started so many seconds before. Of labels that begin so there are more than it reads.
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "label")
     select gen_random_uuid(), 'busy', case when code is null then 'success' else 'failed' end::"JobRunStatus", 'queue', 'w',
            $1::timestamptz - n * interval '1 second', $1, code, label
     from generate_series(1, 10300) n cross join lateral (
       select case when n < 1000 then 'young' when n = 1000 then 'middling' when n = 1001 then 'old' when n between 2000 and 3001 then 'older' end as code,
              case when n = 10000 then 'Last' when n = 10001 then 'Past' when n > 10001 then 'Aged' end as label
     ) of
     order by n % 7, n % 3`,
    [iso(START_MS)],
  )
  const secondsAgo = (run: { startedAt: string }) => (START_MS - Date.parse(run.startedAt)) / 1_000
  const find = async (text: string) => {
    const { labels, errors } = await searchRuns(runtime.reader, text)
    return [
      ...labels.map(({ label, run }) => [label, secondsAgo(run)]),
      ...errors.map(({ code, count }) => [code, count]),
    ]
  }
  expect(await find('ast')).toEqual([['Last', 10_000]])
  expect(await find('Past')).toEqual([['Past', 10_001]])
  expect(await find('Aged')).toEqual([['Aged', 10_002]])
  expect(await find('young')).toEqual([['young', 999]])
  expect(await find('middling')).toEqual([['middling', 1]])
  // Of those longer ago, what is searched for has to be the whole code.
  expect(await find('old')).toEqual([['old', 1]])
  expect(await find('ol')).toEqual([])
  expect((await searchRuns(runtime.reader, 'ol')).isCut).toBe(true)
  expect((await searchRuns(runtime.reader, 'older')).errors).toMatchObject([
    { code: 'older', count: 1_000, isCut: true },
  ])
  expect((await searchRuns(runtime.reader, 'young')).errors).toMatchObject([{ isCut: false }])
})

it('lists what people did in the order of time, and workers by when they started', async () => {
  const runId = uuid(1)
  await runtime.rows(
    `insert into "JobAction" ("id", "at", "action", "actor", "name", "runId")
     select gen_random_uuid(), now() - minutes * interval '1 minute', 'runJob', minutes::text, 'busy', $1
     from unnest($2::int[]) minutes`,
    [runId, [3, 1, 4, 2]],
  )
  const { reader } = runtime
  const actors = (actions: readonly { actor: string }[]) => actions.map(({ actor }) => actor)
  expect(actors(await listJobActions(reader, 'busy', 3))).toEqual(['1', '2', '3'])
  // However many looks at payloads came since, beside the latest of these.
  await runtime.rows(
    `insert into "JobAction" ("id", "at", "action", "actor", "name")
     select gen_random_uuid(), now() - n * interval '1 second', 'showPayload', 'look ' || n, 'busy'
     from generate_series(1, 30) n order by n % 7`,
  )
  expect(actors(await listJobActions(reader, 'busy', 3))).toEqual([
    'look 1',
    'look 2',
    'look 3',
    '1',
    '2',
    '3',
  ])
  expect(actors(await listRunActions(reader, { id: runId, workId: null }))).toEqual([
    '4',
    '3',
    '2',
    '1',
  ])

  await runtime.rows(
    `insert into "JobWorker" ("id", "startedAt", "heartbeatAt")
     select 'w' || started, now() - started * interval '1 minute', now() - beat * interval '1 minute'
     from unnest($1::int[], $2::int[]) worker(started, beat)`,
    [
      [3, 1, 4, 2, 5],
      [0, 3, 0, 2, 9],
    ],
  )
  const ids = ['w3', 'w4', 'w1', 'w2', 'w5']
  expect((await listWorkers(reader)).map(({ id }) => id)).toEqual(ids)
  expect((await searchRuns(reader, 'w')).workers).toEqual(ids.toSorted())
  await runtime.rows(`delete from "JobWorker" where "heartbeatAt" > now() - interval '1 minute'`)
  const [{ heartbeatAt }] = (await runtime.rows(
    `select "heartbeatAt" from "JobWorker" where "id" = 'w2'`,
  )) as [{ heartbeatAt: Date }]
  expect(await findLastSign(reader)).toBe(heartbeatAt.toISOString())

  await runtime.rows(
    `insert into "JobQueue" ("name", "pausedAt", "pausedBy") select name, now(), 'ada' from unnest($1::text[]) name`,
    [['b', 'c', 'a']],
  )
  expect([...(await readPausedQueues(reader)).keys()]).toEqual(['a', 'b', 'c'])
})
