// Not quick: sends some hundred requests, of which several check passwords.
import { cleanupI18nCache, dispatchEmail } from '@roundsman/jobs'
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import { beforeAll, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'
import { createInvoice } from '../invoices.ts'

/** The part of JSON Schema of which our requests are made. */
interface Schema {
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
}

interface Described {
  security?: object[]
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, object>
}

interface Operation extends Described {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
}

const REQUESTS_EACH = 6
/** The kinds of callers. `forged` has a token that the server did not sign. */
const CALLERS = ['nobody', 'forged', 'staff', 'admin', 'owner'] as const
/** Words that tell how we work inside. */
const INTERNALS = /node_modules|\bat \S+ \(|prisma|JobWork|\bSQL\b/i
const NASTY = [
  ...['', ' ', '\0', 'a\0b', '\ud800', '\u202e\u200b', '%00', '../../etc/passwd', '__proto__'],
  ...["'; drop table x; --", 'constructor', 'NaN', '-1', '1e400', '99999999999999999999'],
  ...['0000-01-01T00:00:00Z', '+010000-01-01T00:00:00Z', '2026-02-30', 'x'.repeat(5_000)],
  ...[-1, 0.1, 2 ** 31, 2 ** 53, 1e21, null, true, [], {}, [[]], { a: { b: 'c' } }],
] as const
const RAW_BODIES = [
  ...['', '{', '[1,2', '1e400', 'null', '[]', '{}', '{"reason":"\\ud800"}', '{"reason":"\\u0000"}'],
  ...['{"__proto__":{"a":1}}', `{"reason":"${'x'.repeat(70_000)}"}`, '{"reason":1e400}'],
  `{"reason":"why","payload":${'['.repeat(3_000)}${']'.repeat(3_000)}}`,
] as const

const api = openForTests(createTestApi)
/** Values that make sense, by the name of the parameter or the property. What exists is added. */
const known: Record<string, unknown[]> = {
  currency: ['EUR'],
  locale: ['de', 'en-GB'],
  quantity: ['1.5'],
  unitPriceMinor: [1_000],
  cron: ['0 9 * * MON'],
  timeZone: ['Europe/Lisbon'],
  key: ['a'],
  ifVersion: [0],
  name: [cleanupI18nCache.name, dispatchEmail.name],
  payload: [{}],
}
let operations: Operation[] = []

beforeAll(async () => {
  const { paths } = api.app.swagger() as unknown as {
    paths: Record<string, Record<string, Described>>
  }
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      ...described,
      method: method.toUpperCase() as Operation['method'],
      path,
    })),
  )
  const { id } = await createInvoice(api)
  const { workId } = await api.jobsClient.enqueueNow(cleanupI18nCache, {})
  const [run] = await api.prisma.$queryRaw<{ id: string }[]>`
    insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "details")
    values (gen_random_uuid(), ${cleanupI18nCache.name}, 'failed', 'queue', 'w1', now(), now(), 'guard_blocked',
      '{"error": {"code": "guard_blocked", "message": "Too many"}, "guard": {"due": 5}}')
    returning "id"::text`
  const [letter] = await api.prisma.$queryRaw<{ id: string }[]>`
    insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage")
    values (gen_random_uuid(), ${dispatchEmail.name}, 2, '{}', 'handler_failed', 'given up') returning "id"::text`
  Object.assign(known, {
    id: [id, run!.id],
    workId: [workId, letter!.id],
  })
})

/** Draws values that a schema allows. */
function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if ('const' in schema) return fc.constant(schema.const)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map(valueOf))
  if (Array.isArray(schema.type))
    return fc.oneof(...schema.type.map((type) => valueOf({ ...schema, type })))
  const { minimum: min = -1e6, maximum: max = 1e6, items = {}, minItems: minLength = 0 } = schema
  switch (schema.type) {
    case 'string':
      return textOf(schema)
    case 'integer':
      return fc.integer({ min: Math.max(min, -1e6), max: Math.min(max, 1e6) })
    case 'number':
      return fc.double({ noNaN: true, min, max })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(valueOf(items), {
        minLength,
        maxLength: Math.min(schema.maxItems ?? 3, minLength + 3),
      })
    case 'object':
      return objectOf(schema)
    default:
      return fc.jsonValue()
  }
}

function textOf({ format, pattern, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  const dates = fc.date({ min: new Date('1900-01-01'), noInvalidDate: true })
  const inTime = dates.filter((date) => date < new Date('3000-01-01'))
  if (format === 'uuid') return fc.uuid()
  if (format === 'date') return inTime.map((date) => date.toISOString().slice(0, 10))
  if (format === 'date-time') return inTime.map((date) => date.toISOString())
  if (format === 'email')
    return fc.constantFrom('staff@example.com', 'nobody@example.com', 'é@example.com')
  if (pattern === undefined)
    return fc.string({ unit: 'grapheme', minLength, maxLength: Math.max(minLength, 40) })
  const isFitting = ({ length }: string) => length >= minLength && length <= maxLength
  return fc.stringMatching(new RegExp(pattern)).filter(isFitting)
}

function objectOf({ properties, required = [], additionalProperties }: Schema) {
  if (!properties) {
    const value = typeof additionalProperties === 'object' ? additionalProperties : {}
    return fc.dictionary(fc.string(), valueOf(value), { maxKeys: 3 })
  }
  const parts = Object.entries(properties).map(([name, part]) => [name, namedValue(name, part)])
  return fc.record(Object.fromEntries(parts) as Record<string, fc.Arbitrary<unknown>>, {
    requiredKeys: required,
  })
}

/** Draws the value of a parameter or a property: mostly one that makes sense. */
function namedValue(name: string, schema: Schema): fc.Arbitrary<unknown> {
  const values = known[name]
  if (!values) return valueOf(schema)
  return fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...values) },
    { weight: 1, arbitrary: valueOf(schema) },
  )
}

/** What no client means to send, and where. */
interface Change {
  name: string
  value: unknown
}
const changeOf = (names: string[]): fc.Arbitrary<Change | null> =>
  names.length === 0
    ? fc.constant(null)
    : fc.option(fc.record({ name: fc.constantFrom(...names), value: fc.constantFrom(...NASTY) }), {
        freq: 2,
      })

interface Drawn {
  caller: (typeof CALLERS)[number]
  params: Record<string, unknown>
  query: Record<string, unknown>
  /** Replaces the value of one parameter. */
  broken: Change | null
  body: { is: 'none' } | { is: 'json'; value: unknown } | { is: 'raw'; text: string }
}

function requestOf({ parameters = [], requestBody }: Operation): fc.Arbitrary<Drawn> {
  const partsOf = (place: string) =>
    parameters
      .filter((parameter) => parameter.in === place)
      .map(({ name, schema }): [string, fc.Arbitrary<unknown>] => [name, namedValue(name, schema)])
  const schema = requestBody?.content['application/json']?.schema
  const json = schema === undefined ? fc.jsonValue() : bodyOf(schema)
  const sent = json.map((value): Drawn['body'] => ({ is: 'json', value }))
  const raw = fc.constantFrom(...RAW_BODIES).map((text): Drawn['body'] => ({ is: 'raw', text }))
  const none = fc.constant<Drawn['body']>({ is: 'none' })
  return fc.record({
    caller: fc.oneof(
      { weight: 3, arbitrary: fc.constant('owner' as const) },
      { weight: 1, arbitrary: fc.constantFrom(...CALLERS) },
    ),
    params: fc.record(Object.fromEntries(partsOf('path'))),
    query: fc.oneof(
      fc.constant({}),
      fc.record(Object.fromEntries(partsOf('query')), { requiredKeys: [] }),
    ),
    broken: changeOf(parameters.map(({ name }) => name)),
    body: fc.oneof(
      { weight: schema ? 5 : 1, arbitrary: schema ? sent : none },
      { weight: 1, arbitrary: schema ? raw : none },
    ),
  })
}

/** A body as documented, of which one part may be replaced or added. */
function bodyOf(schema: Schema): fc.Arbitrary<unknown> {
  const names = [...Object.keys(schema.properties ?? {}), 'extra', '__proto__']
  return fc.tuple(valueOf(schema), changeOf(names)).map(([value, changed]) => {
    if (changed === null || typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).filter(([name]) => name !== changed.name)
    return Object.fromEntries([...entries, [changed.name, changed.value]]) as unknown
  })
}

const textOfParam = (value: unknown) =>
  encodeURIComponent((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed())

async function send({ method, path }: Operation, { caller, body, broken, ...drawn }: Drawn) {
  const change = broken === null ? {} : { [broken.name]: broken.value }
  const params = { ...drawn.params, ...change }
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => textOfParam(params[name]))
  const asked = Object.entries({ ...drawn.query, ...change }).map(
    ([name, value]) => `${name}=${textOfParam(value)}`,
  )
  const payload = body.is === 'json' ? JSON.stringify(body.value) : body.is === 'raw' && body.text
  const request: InjectOptions = {
    method,
    url: `${address}?${asked.join('&')}`,
    payloadAsStream: true,
    ...(payload !== false && { payload, headers: { 'content-type': 'application/json' } }),
  }
  const answer =
    caller === 'nobody' || caller === 'forged'
      ? await api.app.inject({
          ...request,
          headers: {
            ...request.headers,
            ...(caller === 'forged' && { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' }),
          },
        })
      : await api.as(caller, request)
  const { statusCode, headers } = answer
  const type = (headers['content-type'] ?? '').split(';', 1)[0]
  const stream = answer.stream()
  // The events of a page end only when the page closes.
  const text = type === 'text/event-stream' ? '' : await new Response(stream as never).text()
  stream.destroy()
  return { statusCode, type, text }
}

/** What is wrong with an answer. A content that its schema does not allow is answered with 500 by the server itself. */
async function judge(operation: Operation, drawn: Drawn): Promise<string[]> {
  const { statusCode, type, text } = await send(operation, drawn)
  const isRefused = statusCode >= 400
  const wrong: [isWrong: boolean, what: string][] = [
    // Monitors read the status alone, and no worker runs here.
    [statusCode >= 500 && operation.path !== '/health/jobs', 'an error of ours'],
    [!(String(statusCode) in operation.responses), 'a status that is not documented'],
    [isRefused && type !== 'application/problem+json', `refused as ${type}`],
    [isRefused && INTERNALS.test(text), 'shows how we work inside'],
    [isRefused && !/"detail":"[^"]/.test(text), 'refused without a reason'],
    [
      !isRefused && operation.security !== undefined && /nobody|forged/.test(drawn.caller),
      'served without a log-in',
    ],
  ]
  served.add(isRefused ? '' : `${operation.method} ${operation.path}`)
  return wrong.filter(([isWrong]) => isWrong).map(([, what]) => `${statusCode} ${what}: ${text}`)
}
const served = new Set<string>()

it('every operation answers drawn requests as it is documented', async () => {
  for (const operation of operations)
    await fc.assert(
      fc.asyncProperty(requestOf(operation), async (drawn) => {
        expect(await judge(operation, drawn)).toEqual([])
      }),
      { numRuns: REQUESTS_EACH },
    )
  expect(served.size).toBeGreaterThan(operations.length / 3)
}, 300_000)
