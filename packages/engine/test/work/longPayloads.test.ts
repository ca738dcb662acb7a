import { waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, defineLimit } from '../../src/index.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { useSession } from '../useSession.ts'

const schema = z.strictObject({ n: z.number(), text: z.string() })
const plain = defineJob({ name: 'plain', payload: schema })
const limited = defineJob({
  name: 'limited',
  payload: schema,
  limits: [defineLimit({ name: 'shared', global: 10 })],
})
type Payload = z.infer<typeof schema>
const LONG = 'x'.repeat(2_000)

const { runtime, client } = useClientRuntime({ cleared: ['JobLimit', 'JobQueue'] })
useSession(runtime)

describe('a claim that waits while its work is replaced', () => {
  it.each([
    ['a long payload by another', LONG, `${LONG}2`],
    ['a long payload by a short one', LONG, 'short'],
    ['a short payload by a long one', 'short', LONG],
  ])('takes the newest payload: %s', async (_, before, after) => {
    const limits = await registeredLimits(runtime, [limited])
    const claimer = createClaimer({
      database: runtime.database,
      workerId: 'w1',
      now: () => new Date(),
      limits,
    })
    const replace = (n: number, text: string) =>
      client.enqueue(runtime.prisma, limited, { n, text }, { uniqueKey: 'k', onConflict: 'replace' })
    await replace(1, before)
    let claimed: ReturnType<typeof claimer.claim> | undefined
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobLimit" for update')
      claimed = claimer.claim(limited, 10)
      await waitFor(() => countLockWaits(runtime))
      expect((await replace(2, after)).kind).toBe('replaced')
    })
    const payloads = (await claimed)?.work.map(({ envelope }) => envelope.payload as Payload)
    expect(payloads?.map(({ n, text }) => [n, text.length])).toEqual([[2, after.length]])
  })
})
