import { STATUS_CODES } from 'node:http'
import { expect } from 'vitest'

/** An id that nothing has. */
export const UNKNOWN_ID = '01a20e26-367c-766a-a085-72e882269712'

/** An answer, as Fastify's `inject` returns it. */
interface Answered {
  statusCode: number
  headers: Readonly<Record<string, unknown>>
  body: string
}

interface ProblemBody {
  detail: string
  errors?: { path: string; message: string }[]
}

/** Expects a problem document (RFC 9457) with that status, and returns it. */
export function expectProblem(response: Answered, status: number): ProblemBody {
  expect({ status: response.statusCode, body: response.body }).toMatchObject({ status })
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8')
  const body = JSON.parse(response.body) as ProblemBody
  expect(body).toMatchObject({ type: 'about:blank', title: STATUS_CODES[status], status })
  expect(body.detail).toMatch(/./)
  return body
}

/** Expects the refusal of a request that does not match its schema, with the places that are wrong, in order. */
export function expectInvalid(response: Answered, paths: string[]): void {
  const { errors = [] } = expectProblem(response, 400)
  expect(errors.map((error) => error.path)).toEqual(paths)
  expect(errors.every((error) => error.message.length > 0)).toBe(true)
}
