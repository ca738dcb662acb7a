import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { defineJob, JobError, type DurableContext, type StepsOf } from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

/** What a handler does: steps, waits, and how they are combined. */
type Program =
  | { kind: 'run'; isBroken: boolean; turns: number }
  | { kind: 'tx' }
  | { kind: 'sleep'; hours: number }
  | { kind: 'seq' | 'all' | 'race' | 'caught'; parts: Program[] }

const replay = defineJob({
  name: 'replay',
  retry: { limit: 0 },
  steps: { run: {}, tx: {}, sleep: {} },
})
type Context = DurableContext<Record<string, never>, PlainTransaction, StepsOf<typeof replay>>

const { program } = fc.letrec<{ program: Program; parts: Program[] }>((tie) => ({
  program: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({
      kind: fc.constant('run' as const),
      isBroken: fc.boolean(),
      turns: fc.nat({ max: 3 }),
    }),
    fc.record({ kind: fc.constant('tx' as const) }),
    fc.record({ kind: fc.constant('sleep' as const), hours: fc.nat({ max: 3 }) }),
    fc.record({
      kind: fc.constantFrom('seq' as const, 'all' as const, 'race' as const, 'caught' as const),
      parts: tie('parts'),
    }),
  ),
  parts: fc.array(tie('program'), { minLength: 1, maxLength: 3 }),
}))

let drawn: Program
/** What each pass of the handler saw, in order. */
let passes: string[][] = []
const calls = new Map<string, number>()

async function carryOut(
  program: Program,
  at: string,
  context: Context,
  saw: string[],
): Promise<void> {
  const { step } = context
  const options = { item: at }
  const note = async (what: Promise<unknown>) => {
    await what
    saw.push(`${at} ${context.now().toISOString()}`)
  }
  switch (program.kind) {
    case 'run':
      return await note(
        step.run(
          'run',
          async () => {
            calls.set(at, (calls.get(at) ?? 0) + 1)
            for (let turn = 0; turn < program.turns; turn++)
              await new Promise((resolve) => setImmediate(resolve))
            if (program.isBroken) throw new JobError('broken', at, { retryable: false })
          },
          options,
        ),
      )
    case 'tx':
      return await note(
        step.tx('tx', async () => void calls.set(at, (calls.get(at) ?? 0) + 1), options),
      )
    case 'sleep':
      return await note(step.sleep('sleep', { hours: program.hours }, options))
    default: {
      const carry = (part: Program, n: number) => carryOut(part, `${at}.${n}`, context, saw)
      if (program.kind === 'all') return void (await Promise.all(program.parts.map(carry)))
      if (program.kind === 'race') {
        const parts = program.parts.map(carry)
        // A loser that fails later is nobody's.
        for (const part of parts) part.catch(() => undefined)
        return await Promise.race(parts)
      }
      try {
        for (const [n, part] of program.parts.entries()) await carry(part, n)
      } catch (error) {
        if (program.kind === 'seq') throw error
        saw.push(`${at} caught ${(error as Error).message}`)
      }
    }
  }
}

const { database, client } = usePlainClient()
const open = (crash: 'everyStep' | 'never') =>
  openForTests(() =>
    openTestJobs({
      databaseUrl: database.url,
      client,
      jobs: [replay],
      crash,
      handlers: {
        async replay(context) {
          const saw: string[] = []
          passes.push(saw)
          await carryOut(drawn, '0', context, saw)
          // So that one more pass sees all of it.
          await context.step.sleep('sleep', { hours: 1 }, { item: 'last' })
        },
      },
    }),
  )
const modes = { everyStep: open('everyStep'), never: open('never') }

it.each(['everyStep', 'never'] as const)(
  'each pass of a handler sees what the passes before it saw, whatever it combines, and calls no step twice: crash %s',
  async (crash) => {
    const test = modes[crash]
    await fc.assert(
      fc.asyncProperty(program, async (program) => {
        await test.reset()
        drawn = program
        passes = []
        calls.clear()
        await client.$transaction((tx) => test.enqueue(tx, replay, {}))
        let ended = await test.drain()
        for (let hours = 0; ended.at(-1)?.status === 'suspended' && hours < 100; hours++) {
          await test.advance({ hours: 1 })
          ended = [...ended, ...(await test.drain())]
        }
        expect(['success', 'failed']).toContain(ended.at(-1)!.status)
        expect([undefined, 'step_failed']).toContain(ended.at(-1)!.error?.code)
        for (const [at, saw] of passes.entries())
          expect(passes[at + 1]?.slice(0, saw.length) ?? saw).toEqual(saw)
        for (const [at, count] of calls) expect([at, count]).toEqual([at, 1])
      }),
      { numRuns: 50 },
    )
  },
  90_000,
)
