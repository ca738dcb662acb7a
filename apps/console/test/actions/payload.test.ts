import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { payloadProblems, payloadSkeleton, takesNothing } from '../../src/actions/payload.ts'

const order = z.strictObject({
  orderId: z.string(),
  lines: z.array(z.object({ sku: z.string() })),
  count: z.int(),
  channel: z.enum(['web', 'shop']).default('web'),
  isGift: z.boolean().optional(),
})
const schema = z.toJSONSchema(order, { io: 'input' }) as Record<string, unknown>

describe('what stands in the field at first', () => {
  it('has the parts that are required, each empty', () => {
    expect(JSON.parse(payloadSkeleton(schema))).toEqual({ orderId: '', lines: [], count: 0 })
    expect(payloadSkeleton(null)).toBe('{}')
  })

  it('is not needed where a job takes nothing', () => {
    const nested = { $ref: '#/$defs/a', $defs: { a: { type: 'object', properties: {} } } }
    const all = [schema, null, { type: 'string' }, { $ref: '#' }, { $ref: '#/nowhere' }, nested]
    expect(all.map(takesNothing)).toEqual([false, false, false, false, false, true])
  })
})

it('what the server refuses of a payload is said with the part that it is about', () => {
  const issues = [
    { path: 'body.payload.orderId', message: 'Required' },
    { path: 'body.payload.lines.0.sku', message: 'Too small' },
    { path: 'body.reason', message: 'is blank' },
  ]
  expect(payloadProblems(issues)).toBe('orderId: Required; lines.0.sku: Too small')
  expect(payloadProblems([{ path: 'body.payload', message: 'is not one' }])).toBe('is not one')
  expect(payloadProblems([{ path: 'body.reason', message: 'is blank' }])).toBe('')
})
