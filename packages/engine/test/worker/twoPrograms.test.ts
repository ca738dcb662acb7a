// Not quick: starts and stops the workers of two programs, of drawn jobs.
import { waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { afterEach, it, expect } from 'vitest'
import { z } from 'zod'
import { createAlertWatcher } from '../../src/alerts.ts'
import { createWorkerThatWaits } from '../../src/worker/createWorker.ts'
import { defineJob, defineLimit } from '../../src/index.ts'
import type { Worker } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const NAMES = ['mail', 'report', 'sync'] as const
type Name = (typeof NAMES)[number]

/** What a program says of a job. */
interface Definition {
  retries: number
  global: number | null
  isShared: boolean
  cron: string | null
}
type Action =
  | { kind: 'enqueue'; name: Name; count: number; fails: boolean }
  | { kind: 'pause'; name: Name }
  | { kind: 'resume'; name: Name }
  | { kind: 'restart'; at: number }
/** The jobs of a program, by name; null where it has none of that name. */
type Program = Record<Name, Definition | null>

const PLAIN: Definition = { retries: 0, global: null, isShared: false, cron: null }
const OTHER: Definition = { retries: 1, global: 1, isShared: true, cron: '0 0 1 1 *' }
const NOTHING: Program = { mail: null, report: null, sync: null }
const EXAMPLES: [[Program, Program], Action[]][] = [
  // Disjoint, and overlapping with another definition.
  [
    [
      { ...NOTHING, mail: OTHER },
      { ...NOTHING, sync: OTHER },
    ],
    [],
  ],
  [
    [
      { ...NOTHING, mail: OTHER, sync: PLAIN },
      { ...NOTHING, mail: PLAIN },
    ],
    [{ kind: 'restart', at: 0 }],
  ],
]

const PARTNER = defineLimit({ name: 'partner', global: 2 })
const BY = { actor: 'ada', reason: 'a test' }

const { runtime, client } = useClientRuntime()
const workers = new Map<number, Worker>()

afterEach(stopAll)

async function stopAll(): Promise<void> {
  await Promise.all([...workers.values()].map((worker) => worker.stop()))
  workers.clear()
}

const definition: fc.Arbitrary<Definition> = fc.record({
  retries: fc.integer({ min: 0, max: 1 }),
  global: fc.constantFrom(null, 1, 2),
  isShared: fc.boolean(),
  cron: fc.constantFrom(null, '0 0 1 1 *', '0 0 1 2 *'),
})
const program: fc.Arbitrary<Program> = fc
  .record({
    mail: fc.option(definition),
    report: fc.option(definition),
    sync: fc.option(definition),
  })
  .filter((drawn) => Object.values(drawn).some((one) => one !== null))

const name = fc.constantFrom(...NAMES)
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('enqueue' as const),
      name,
      count: fc.integer({ min: 1, max: 4 }),
      fails: fc.boolean(),
    }),
  },
  fc.record({ kind: fc.constant('pause' as const), name }),
  fc.record({ kind: fc.constant('resume' as const), name }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const), at: fc.nat(1) }) },
)

const toJob = (of: Name, { retries, global, isShared, cron }: Definition) =>
  defineJob({
    name: of,
    payload: z.object({ fails: z.boolean().default(false) }),
    retry: { limit: retries, delayMs: 1 },
    ...(global !== null && { concurrency: { global } }),
    limits: isShared ? [PARTNER] : [],
    ...(cron !== null && { schedule: { cron, overlap: 'allow' as const } }),
  })

const jobsOf = (of: Program) =>
  NAMES.flatMap((one) => (of[one] === null ? [] : [toJob(one, of[one])]))

/** Starts the worker of a program in place of the one that it has. */
async function restart(at: number, of: Program): Promise<void> {
  await workers.get(at)?.stop()
  const jobs = jobsOf(of)
  const handle = async ({ payload }: { payload: { fails: boolean } }) => {
    if (payload.fails) throw new Error('it fails')
  }
  const worker = createWorkerThatWaits(
    { roundMs: 40 },
    {
      ...runtime.workerOptions,
      jobs,
      handlers: Object.fromEntries(jobs.map((job) => [job.name, handle])) as never,
      version: `program ${at}`,
    },
  )
  workers.set(at, worker)
  await worker.start()
}

it(
  'two programs on one database: the jobs of each get all that they would get alone',
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(program, program),
        fc.array(action, { maxLength: 6 }),
        async (programs, actions) => {
          await runtime.clear(
            ...['JobAlert', 'JobThrottle', 'JobLimit', 'JobSchedule', 'JobTick', 'JobQueue'],
            ...['JobWorker', 'JobFormerWorker', 'JobAction'],
          )
          const known = NAMES.filter((one) => programs.some((of) => of[one] !== null))
          const pieces: { workId: string; name: Name; fails: boolean }[] = []
          const enqueue = async (of: Name, count: number, fails: boolean) => {
            const items = Array.from({ length: count }, (_, nth) => ({
              payload: { fails },
              options: { uniqueKey: `key ${pieces.length + nth}` },
            }))
            const job = toJob(of, PLAIN)
            for (const { workId } of await client.enqueueManyNow(job, items))
              pieces.push({ workId, name: of, fails })
          }
          for (const taken of actions) {
            if (taken.kind === 'restart') await restart(taken.at, programs[taken.at] as Program)
            else if (taken.kind === 'pause') await client.pauseQueue(taken.name, BY)
            else if (taken.kind === 'resume') await client.resumeQueue(taken.name, BY)
            else await enqueue(taken.name, taken.count, taken.fails)
          }
          for (const one of NAMES) await enqueue(one, 1, true)
          for (const [at, of] of programs.entries()) if (!workers.has(at)) await restart(at, of)
          for (const one of NAMES) await client.resumeQueue(one, BY)

          await waitFor(
            async () => {
              // A retry need not wait for its second.
              await runtime.rows(`update "JobWork" set "dueAt" = now() where "dueAt" > now()`)
              const left = await runtime.rows(
                'select from "JobWork" where "name" = any($1) union all select from "JobClaim"',
                [known],
              )
              return left.length === 0
            },
            { message: 'all work that a program knows is done' },
          )
          expect(await findWrongRuns(programs, pieces)).toEqual([])
          await waitFor(async () => (await heldKeys(known)).length === 0, {
            message: 'their unique keys are free',
          })
          expect(await findWrongRules(programs)).toEqual([])
          expect(await toldAndOver(programs, known)).toEqual({
            told: known,
            isToldStill: [],
            isOver: known,
          })
          await stopAll()
        },
      ),
      {
        examples: EXAMPLES,
        numRuns: 1_000,
        endOnFailure: true,
        plugins: [fc.interruptAfterTimeLimit(10_000)],
      },
    )
  },
)

const heldKeys = (names: readonly Name[]) =>
  runtime.rows('select from "JobUnique" where "name" = any($1)', [names])

/** Finds pieces that were run by a program that does not know their job, or as often as none of them says. */
async function findWrongRuns(
  programs: readonly Program[],
  pieces: readonly { workId: string; name: Name; fails: boolean }[],
) {
  const runs = await runtime.rows<{ workId: string; status: string; version: string }>(
    `select run."workId", run."status", worker."version" from "JobRun" run
     join (select "id", "version" from "JobWorker" union all select "id", "version" from "JobFormerWorker") worker
       on worker."id" = run."workerId"`,
  )
  const letters = await runtime.column<string>('select "id" from "JobDeadLetter"')
  return pieces.flatMap(({ workId, name: of, fails }) => {
    const own = runs.filter((run) => run.workId === workId)
    const tries = programs.flatMap((each) => (each[of] === null ? [] : [1 + each[of].retries]))
    const isOften = fails
      ? own.length >= (tries.length && Math.min(...tries)) && own.length <= Math.max(0, ...tries)
      : own.length === Math.min(tries.length, 1)
    const isRight =
      isOften &&
      letters.includes(workId) === (fails && tries.length > 0) &&
      own.every(({ status }) => (status === 'success') !== fails) &&
      own.every(({ version }) => programs[Number(version.replace('program ', ''))]?.[of])
    return isRight ? [] : [{ of, fails, tries, own }]
  })
}

/** Finds jobs whose schedule or limits are as no program says that has the job. */
async function findWrongRules(programs: readonly Program[]) {
  const schedules = await runtime.rows<{ name: string; cron: string }>(
    'select "name", "cron" from "JobSchedule"',
  )
  const limits = await runtime.rows<{
    name: string
    global: number | null
    jobs: string[] | null
  }>('select "name", "global", "jobs" from "JobLimit"')
  const partner = limits.find((row) => row.name === PARTNER.name)
  return NAMES.flatMap((of) => {
    const said = programs.flatMap((each) => each[of] ?? [])
    const none = said.length === 0 ? [PLAIN] : []
    const found = {
      cron: schedules.find((row) => row.name === of)?.cron ?? null,
      global: limits.find((row) => row.name === `job:${of}`)?.global ?? null,
      isShared: partner?.jobs?.includes(of) ?? false,
    }
    // A program that has the job without a schedule has nothing to say of it.
    const crons = said.flatMap(({ cron }) => cron ?? [])
    const isRight =
      (found.cron === null ? crons.length === 0 : crons.includes(found.cron)) &&
      [...said, ...none].some(({ global }) => global === found.global) &&
      [...said, ...none].some(({ isShared }) => isShared === found.isShared)
    return isRight ? [] : [{ of, said, found }]
  })
}

/** Has the programs watch when there are dead letters of these jobs, and again a minute later when there are none. */
async function toldAndOver(programs: readonly Program[], names: readonly Name[]) {
  const list = (isOver: boolean) =>
    runtime.column<string>(
      `select "name" from "JobAlert" where "kind" = 'deadLetters' and "raisedAt" is not null
         and ("endedAt" is not null) = $1 order by "name"`,
      [isOver],
    )
  const lookUntil = async (isOver: boolean) => {
    const watchers = programs.map((of) =>
      createAlertWatcher({
        ...{ databaseUrl: runtime.url, schema: 'public', jobs: jobsOf(of), channels: [] },
        ...{ log: runtime.log, intervalMs: 60_000 },
      }),
    )
    for (const watcher of watchers) watcher.start()
    await waitFor(async () => (await list(isOver)).length >= names.length, {
      message: isOver ? 'that is over' : 'their dead letters are told',
    })
    await Promise.all(watchers.map((watcher) => watcher.stop()))
  }
  await lookUntil(false)
  const told = await list(false)
  await client.discardDeadLetters('all', BY)
  await runtime.rows(`update "JobThrottle" set "freeAt" = "freeAt" - interval '55 seconds'`)
  await runtime.rows(`update "JobAlert" set "seenAt" = "seenAt" - interval '55 seconds'`)
  await lookUntil(true)
  return { told, isToldStill: await list(false), isOver: await list(true) }
}
