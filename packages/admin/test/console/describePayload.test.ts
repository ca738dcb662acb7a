import { defineJob, definePayload, type StandardSchemaV1 } from '@roundsman/engine'
import { makeHostile, ODD_NAMES } from '@roundsman/testing/hostileValues'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { describePayload } from '../../src/console/describePayload.ts'

const describe = (payload: StandardSchemaV1) => describePayload(defineJob({ name: 'job', payload }))

it('asks for a date as text, wherever it stands, and for what else JSON lacks as JSON', () => {
  const { isNeeded, schema } = describe(
    z.object({
      at: z.coerce.date(),
      until: z.date().optional(),
      all: z.array(z.date().nullable()),
      by: z.record(z.string(), z.object({ on: z.preprocess((text) => text, z.date()) })),
      one: z.discriminatedUnion('kind', [
        z.object({ kind: z.literal('a') }),
        z.object({ kind: z.literal('b'), at: z.date() }),
      ]),
      size: z.bigint(),
      text: z.string().transform(Number),
      size2: z.enum(['s', 'm']).default('s'),
    }),
  )
  const date = { type: 'string', format: 'date-time' }
  expect(isNeeded).toBe(true)
  expect(schema).toMatchObject({
    type: 'object',
    required: ['at', 'all', 'by', 'one', 'size', 'text'],
    properties: {
      at: date,
      until: date,
      all: { type: 'array', items: { anyOf: [date, { type: 'null' }] } },
      by: { additionalProperties: { properties: { on: date } } },
      one: { oneOf: [{}, { properties: { at: date } }] },
      size: {},
      text: { type: 'string' },
      size2: { enum: ['s', 'm'], default: 's' },
    },
  })
})

it('asks for nothing where a job takes nothing', () => {
  expect(describePayload(defineJob({ name: 'job' }))).toMatchObject({
    isNeeded: false,
    schema: { type: 'object', properties: {} },
  })
})

it('says that it does not know, where a schema does not tell, or is too long for a form', () => {
  expect(describe(definePayload((value) => value))).toEqual({ isNeeded: false, schema: null })
  const choices = Array.from({ length: 10_000 }, (_, n) => `choice ${n}`)
  expect(describe(z.object({ of: z.enum(choices) }))).toMatchObject({ schema: null })
})

it.each(ODD_NAMES)('has an answer, whatever the schema does: %s', (name) => {
  const odd = makeHostile({ is: 'odd', name })
  const standards = [
    { vendor: 'x', validate: () => odd, jsonSchema: { input: () => odd } },
    { vendor: odd, validate: odd, jsonSchema: odd },
    { vendor: 'zod', validate: () => ({ issues: [odd] }) },
  ]
  for (const standard of standards) {
    const payload = { '~standard': { version: 1, ...standard }, _zod: odd } as never
    const { schema } = describePayload({ payload })
    expect(typeof schema).toBe('object')
    expect(Array.isArray(schema)).toBe(false)
  }
})
