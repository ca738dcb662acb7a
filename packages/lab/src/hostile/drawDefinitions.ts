import { inspect } from 'node:util'
import fc from 'fast-check'
import { z } from 'zod'
import { defineJob, type Job, type JobOptions } from '@roundsman/engine'
import { MISSED_POLICIES, OVERLAP_POLICIES } from '@roundsman/engine/internal'
import { hostileText } from '@roundsman/testing/hostileValues'

/** A definition that should have been refused, or is not what was asked for. */
export interface DefinitionProblem {
  options: string
  what: string
}

export interface DefinitionCounts {
  accepted: number
  refused: number
  problems: DefinitionProblem[]
}

const RUNNABLE = 12
/** The longest that a timer of Node's can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

const ODD_NUMBERS = [0, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, Number.NaN, Number.POSITIVE_INFINITY, -0]
const numbers: fc.Arbitrary<unknown> = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 100_000 }), weight: 40 },
  { arbitrary: fc.constantFrom<unknown>(...ODD_NUMBERS, null, '5', 5n, true, {}), weight: 2 },
)
/** Mostly draws good values, so that not every definition fails for this one. */
function mostly(good: readonly unknown[], ...odd: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { arbitrary: fc.constantFrom(...good), weight: 12 * odd.length },
    ...odd.map((arbitrary) => ({ arbitrary, weight: 1 })),
  )
}

const crons = mostly(
  ['* * * * *', '* * * * * *', '*/7 3 * * 1', '0 0 29 2 *', '@daily', '0 0 L * *'],
  fc.constantFrom(
    '0 0 31 2 *',
    '60 * * * *',
    '* * *',
    '',
    '* * * * * * *',
    '@reboot',
    '1-0 * * * *',
  ),
  hostileText(),
  fc.constantFrom<unknown>(null, 5, {}, []),
)
const zones = mostly(
  ['UTC', 'Europe/Berlin', 'Pacific/Apia', 'Australia/Lord_Howe', 'Antarctica/Troll'],
  fc.constantFrom('Mars/Olympus', '+02:00', 'utc', 'local'),
  hostileText(),
)

const definitions = fc.record(
  {
    name: fc.oneof(
      { arbitrary: fc.stringMatching(/^[a-z][A-Za-z0-9]{0,30}$/), weight: 20 },
      { arbitrary: hostileText(), weight: 1 },
    ),
    description: hostileText(),
    schedule: fc.record(
      {
        cron: crons,
        timeZone: zones,
        missed: mostly(MISSED_POLICIES, fc.constant('never')),
        overlap: mostly(OVERLAP_POLICIES, fc.constant('perhaps')),
        catchUpMs: numbers,
      },
      { requiredKeys: ['cron'] },
    ),
    timeoutMs: numbers,
    concurrency: numbers,
    retry: fc.record(
      { limit: numbers, delayMs: numbers, maxDelayMs: numbers },
      { requiredKeys: [] },
    ),
    rateLimit: fc.record({ limit: numbers, perMs: numbers }),
    isDestructive: fc.boolean(),
    guard: fc.record({ maxRows: numbers, maxShare: mostly([0.1, 0.5, 1], fc.double(), numbers) }),
    unguarded: mostly([undefined], hostileText()),
  },
  { requiredKeys: ['name'] },
)

/** Checks that each of `count` definitions is either refused, with its name and the reason, or honoured. */
export function tryDefinitions(seed: number, count: number): DefinitionCounts {
  const counts: DefinitionCounts = { accepted: 0, refused: 0, problems: [] }
  for (const options of fc.sample(definitions, { seed, numRuns: count })) {
    const problem = tryDefinition(options as JobOptions<string, unknown>, counts)
    if (problem !== null) counts.problems.push({ options: describe(options), what: problem })
  }
  return counts
}

function tryDefinition(
  options: JobOptions<string, unknown>,
  counts: DefinitionCounts,
): string | null {
  let job: Job
  try {
    job = defineJob(options)
  } catch (error) {
    counts.refused++
    if (!(error instanceof TypeError)) return `threw ${describe(error)}`
    // A name that is none is told as far as a message can hold it.
    const isNamed =
      error.message.startsWith(`Job "${options.name}": `) ||
      /^Job .{1,110}: a name is a camelCase identifier/su.test(error.message)
    return isNamed ? null : `was refused without its name: ${error.message.slice(0, 200)}`
  }
  counts.accepted++
  const { timeoutMs, retry, concurrency, rateLimit, schedule, guard } = job
  const whole = {
    timeoutMs,
    'retry.delayMs': retry.delayMs,
    'retry.maxDelayMs': retry.maxDelayMs,
    concurrency: concurrency ?? 1,
    'rateLimit.limit': rateLimit?.limit ?? 1,
    'rateLimit.perMs': rateLimit?.perMs ?? 1,
    'schedule.catchUpMs': schedule?.catchUpMs ?? 1,
    'guard.maxRows': guard?.maxRows ?? 1,
  }
  for (const [name, value] of Object.entries(whole)) {
    if (!Number.isSafeInteger(value) || value < 1) return `took ${describe(value)} as ${name}`
  }
  if (timeoutMs > LONGEST_TIMER_MS) return `took ${timeoutMs} as timeoutMs, which no timer can wait`
  if (!Number.isSafeInteger(retry.limit) || retry.limit < 0) {
    return `took ${describe(retry.limit)} as retry.limit`
  }
  if (schedule && !OVERLAP_POLICIES.includes(schedule.overlap)) {
    return `took ${describe(schedule.overlap)} as schedule.overlap`
  }
  if (schedule && !MISSED_POLICIES.includes(schedule.missed)) {
    return `took ${describe(schedule.missed)} as schedule.missed`
  }
  return null
}

/** Draws definitions whose work can end soon, with payload schemas that misbehave. */
export function drawRunnableJobs(seed: number): Job[] {
  const between = (min: number, max: number) => fc.integer({ min, max })
  const schemas = fc.constantFrom<() => z.ZodType>(
    () => z.any(),
    () =>
      z.any().refine(() => {
        throw new Error('from a schema')
      }),
    () => z.any().refine(() => Promise.resolve(true)),
    () => z.any().transform(() => 5n),
    () => z.strictObject({ number: z.literal(-1) }),
  )
  const options = fc.record({
    schema: schemas,
    timeoutMs: fc.oneof(between(1, 500), between(1_000, 10_000)),
    concurrency: fc.constantFrom(1, 3, 1_000, 10_000),
    limit: between(0, 3),
    delayMs: between(1, 1_000),
    rateLimit: fc.option(fc.record({ limit: between(50, 100_000), perMs: between(1, 1_000) })),
    schedule: fc.option(
      fc.record({
        cron: fc.constantFrom('0 0 29 2 *', '0 0 1 1 *'),
        timeZone: fc.constantFrom('Pacific/Apia', 'Antarctica/Troll'),
      }),
    ),
  })
  return fc.sample(options, { seed, numRuns: RUNNABLE }).map((drawn, index) =>
    defineJob({
      name: `drawn${index}`,
      payload: drawn.schema(),
      timeoutMs: drawn.timeoutMs,
      concurrency: drawn.concurrency,
      retry: { limit: drawn.limit, delayMs: drawn.delayMs, maxDelayMs: 1_000 },
      ...(drawn.rateLimit && { rateLimit: drawn.rateLimit }),
      ...(drawn.schedule && { schedule: drawn.schedule }),
    }),
  )
}

function describe(value: unknown): string {
  try {
    return inspect(value, { depth: 3, maxArrayLength: 5, breakLength: Infinity }).slice(0, 500)
  } catch {
    return `something of type ${typeof value}`
  }
}
