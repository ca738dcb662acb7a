import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  payloadFields,
  payloadProblems,
  payloadSkeleton,
  readPayload,
} from '../../src/actions/payloadFields.ts'

const order = z.strictObject({
  orderId: z.string().describe('As on the invoice'),
  lines: z.array(z.object({ sku: z.string() })),
  count: z.int(),
  channel: z.enum(['web', 'shop']).default('web'),
  isGift: z.boolean().optional(),
  note: z.string().nullable().optional(),
})
const schema = z.toJSONSchema(order, { io: 'input' }) as Record<string, unknown>

describe('a form made of a schema', () => {
  it('has a control for each part, as its type is', () => {
    expect(
      payloadFields(schema)?.map(({ name, kind, isRequired, hint, initial }) =>
        [name, kind, isRequired, hint, initial].join('|'),
      ),
    ).toEqual([
      'orderId|text|true|As on the invoice|',
      'lines|json|true|as JSON|[]',
      'count|number|true|a whole number|',
      'channel|choice|false|may be left empty|"web"',
      'isGift|boolean|false|may be left empty|',
      'note|text|false|may be left empty|',
    ])
  })

  it('is none of what is no object, or refers to nothing', () => {
    expect(payloadFields(null)).toBeNull()
    expect(payloadFields({ type: 'string' })).toBeNull()
    expect(payloadFields({ $ref: '#' })).toBeNull()
    expect(payloadFields({ $ref: '#/nowhere' })).toBeNull()
    const nested = { $ref: '#/$defs/a', $defs: { a: { type: 'object', properties: {} } } }
    expect(payloadFields(nested)).toEqual([])
  })

  it('reads what was typed, and says what is missing or no value', () => {
    const fields = payloadFields(schema)!
    const typed: Record<string, string> = {
      orderId: ' 7 ',
      lines: '[{"sku": "a"}]',
      count: '3',
      channel: '"shop"',
      isGift: 'false',
      note: '',
    }
    expect(readPayload(fields, (name) => typed[name] ?? '')).toEqual({
      payload: { orderId: ' 7 ', lines: [{ sku: 'a' }], count: 3, channel: 'shop', isGift: false },
    })
    const wrong: Record<string, string> = { lines: '[', count: 'three' }
    expect(readPayload(fields, (name) => wrong[name] ?? '')).toEqual({
      problems: { orderId: 'Required', lines: 'Is not JSON', count: 'Has to be a number' },
    })
  })

  it('has a skeleton, where one would rather type JSON', () => {
    expect(JSON.parse(payloadSkeleton(schema))).toEqual({ orderId: '', lines: [], count: 0 })
    expect(payloadSkeleton(null)).toBe('{}')
  })
})

it('what the server refuses of a payload is said at the part that it is about', () => {
  const issues = [
    { path: 'body.payload.orderId', message: 'Required' },
    { path: 'body.payload.lines.0.sku', message: 'Too small' },
    { path: 'body.payload.lines.1', message: 'Later' },
    { path: 'body.reason', message: 'is blank' },
  ]
  expect(payloadProblems(issues)).toEqual({ orderId: 'Required', lines: '0.sku: Too small' })
  expect(payloadProblems([{ path: 'body.payload', message: 'is not one' }])).toEqual({
    '': 'is not one',
  })
  expect(payloadProblems([{ path: 'body.reason', message: 'is blank' }])).toBeNull()
})
