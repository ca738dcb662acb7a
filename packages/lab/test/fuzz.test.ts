import { describe, expect, it } from 'vitest'
import { createRandom } from '../src/createRandom.ts'
import { breakRequest } from '../src/fuzz/breakRequest.ts'
import { CALLERS, type Callers } from '../src/fuzz/callers.ts'
import { createJudge, judgeBytes, type Judged } from '../src/fuzz/createJudge.ts'
import { createKnowledge } from '../src/fuzz/createKnowledge.ts'
import { createRequest, targetOf, type DraftRequest } from '../src/fuzz/createRequest.ts'
import { findOperation, readOperations, type OpenApiDocument } from '../src/fuzz/readOperations.ts'
import { toCurl } from '../src/fuzz/createSender.ts'

const problem = { $ref: '#/components/schemas/Problem' }
const answersWith = (status: string) => ({
  [status]: { content: { 'application/problem+json': { schema: problem } } },
})
const id = { type: 'string', format: 'uuid' }
const document = {
  openapi: '3.1.0',
  paths: {
    '/things': {
      post: {
        summary: 'Create a thing',
        security: [{}],
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: {
                  label: { type: 'string', minLength: 1, maxLength: 20 },
                  size: { type: 'integer', minimum: 1, maximum: 9 },
                  note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
                },
                required: ['label', 'size'],
                additionalProperties: false,
              },
            },
          },
        },
        responses: {
          201: {
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: { id },
                  required: ['id'],
                  additionalProperties: false,
                },
              },
            },
          },
          ...answersWith('400'),
          ...answersWith('401'),
        },
      },
    },
    '/things/{id}': {
      get: {
        summary: 'Show a thing',
        parameters: [{ name: 'id', in: 'path', required: true, schema: id }],
        responses: { 204: {}, ...answersWith('404') },
      },
    },
  },
  components: {
    schemas: {
      Problem: {
        type: 'object',
        properties: { type: {}, title: {}, status: { type: 'integer' }, detail: {} },
        required: ['status', 'detail'],
        additionalProperties: false,
      },
    },
  },
} as unknown as OpenApiDocument

const operations = readOperations(document)
const callers = Object.fromEntries(CALLERS.map((caller) => [caller, []])) as unknown as Callers

describe('a seed', () => {
  const draw = (seed: number) => {
    const random = createRandom(seed)
    const context = { operations, callers, knowledge: createKnowledge(operations) }
    return Array.from({ length: 300 }, () => {
      const request = createRequest(context, random.fork())
      breakRequest(request, random.fork())
      return request
    })
  }
  const shown = (requests: DraftRequest[]) =>
    requests.map((request) => [
      request.method,
      targetOf(request),
      request.headers,
      JSON.stringify(request.body) ?? request.bytes?.toString('hex'),
    ])

  it('names the same requests each time, and another seed others', () => {
    expect(shown(draw(7))).toEqual(shown(draw(7)))
    expect(shown(draw(7))).not.toEqual(shown(draw(8)))
  })

  it('breaks requests in every way', () => {
    expect(new Set(draw(7).flatMap(({ broken }) => broken)).size).toBeGreaterThan(20)
  })
})

it('knows which operation a request is for', () => {
  const find = (method: string, target: string) => findOperation(operations, { method, target })?.id
  expect(find('POST', '/things?a=b')).toBe('POST /things')
  expect(find('GET', '/things/1')).toBe('GET /things/{id}')
  expect(find('HEAD', '/things/1')).toBe('GET /things/{id}')
  expect(find('GET', '/things')).toBeUndefined()
  expect(find('GET', '/things/1/2')).toBeUndefined()
})

describe('an answer', () => {
  const judge = createJudge(document)
  const [create, show] = operations
  const answer = (status: number, type: string | undefined, body: unknown) => ({
    status,
    headers: type === undefined ? {} : { 'content-type': type },
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  })
  const json = 'application/json; charset=utf-8'
  const problemJson = 'application/problem+json; charset=utf-8'
  const created = { id: '01a20e26-367c-766a-a085-72e882269712' }
  const refused = (status: number) => ({ status, title: 'x', detail: 'Not so' })
  const judged = (part: Partial<Judged> & Pick<Judged, 'answer'>) =>
    judge({ method: 'POST', operation: create, caller: 'owner', ...part })

  it.each([
    ['as documented', { answer: answer(201, json, created) }],
    ['a problem', { answer: answer(400, problemJson, refused(400)) }],
    ['no content', { method: 'GET', operation: show, answer: answer(204, undefined, '') }],
    ['HEAD', { method: 'HEAD', operation: show, answer: answer(404, problemJson, '') }],
    ['nothing there', { operation: undefined, answer: answer(404, problemJson, refused(404)) }],
  ])('is well: %s', (_, part) => {
    expect(judged(part)).toEqual([])
  })

  it.each([
    ['an error of ours', { answer: answer(500, problemJson, refused(500)) }, 'answered with 500'],
    ['an unknown status', { answer: answer(200, json, {}) }, '200 is not documented'],
    ['another content', { answer: answer(201, 'text/html', 'hello') }, '201 is text/html'],
    ['what is more', { answer: answer(201, json, { ...created, extra: 1 }) }, 'additional'],
    ['what is less', { answer: answer(201, json, {}) }, "required property 'id'"],
    ['a wrong format', { answer: answer(201, json, { id: 'x' }) }, 'format "uuid"'],
    ['no JSON', { answer: answer(201, json, '{') }, 'is not JSON'],
    [
      'no problem',
      { answer: answer(400, json, refused(400)) },
      'has to be application/problem+json',
    ],
    ['another status', { answer: answer(400, problemJson, refused(404)) }, 'says in its body 404'],
    [
      'our inside',
      { answer: answer(400, problemJson, { ...refused(400), detail: 'prisma.user failed' }) },
      'tells of our inside',
    ],
    [
      'a stranger',
      { caller: 'forged' as const, answer: answer(201, json, created) },
      'served forged',
    ],
    [
      'content where none is',
      { method: 'GET', operation: show, answer: answer(204, json, '{}') },
      'is to have none',
    ],
    [
      'nothing there',
      { operation: undefined, answer: answer(409, problemJson, refused(409)) },
      '409',
    ],
  ])('is a finding: %s', (_, part, text) => {
    expect(judged(part).join('\n')).toContain(text)
  })

  it('to what is not HTTP may be a problem or none, in time', () => {
    const bytes = (text: string, isTimedOut = false) =>
      judgeBytes({ received: Buffer.from(text), isTimedOut })
    const body = JSON.stringify(refused(400))
    expect(bytes('')).toEqual([])
    expect(
      bytes(`HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n\r\n${body}`),
    ).toEqual([])
    expect(bytes('', true)).toEqual(['neither answered nor closed'])
    expect(bytes('HTTP/1.1 400 Bad Request\r\n\r\n')).toEqual([
      '400 is undefined, and has to be application/problem+json',
    ])
    expect(bytes('HTTP/1.1 500 Internal Server Error\r\n\r\n')).toEqual(['answered with 500'])
    expect(bytes('garbage')).toEqual(['answered with "garbage"'])
  })
})

it('says how to send a request again, and no token', () => {
  const token = `Bearer ${'e'.repeat(20)}.${'e'.repeat(20)}.${'e'.repeat(43)}`
  const line = toCurl({
    method: 'POST',
    target: '/api/jobs?a=%00',
    headers: [
      ['authorization', token],
      ['x', "it's"],
    ],
    body: Buffer.from('{"a":"\\u0000"}'),
  })
  expect(line).toBe(
    `curl -i -X POST --path-as-is "$BASE_URL"$'/api/jobs?a=%00' -H "authorization: Bearer $TOKEN" ` +
      String.raw`-H $'x: it\'s' --data-binary $'{"a":"\\u0000"}'`,
  )
})
