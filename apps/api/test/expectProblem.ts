import type { LightMyRequestResponse } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { expect } from 'vitest'

interface ProblemBody {
  detail: string
  errors?: { path: string; message: string }[]
}

/** Expects a problem document (RFC 9457) with that status, and returns it. */
export function expectProblem(response: LightMyRequestResponse, status: number): ProblemBody {
  expect({ status: response.statusCode, body: response.body }).toMatchObject({ status })
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8')
  const body = response.json()
  expect(body).toMatchObject({ type: 'about:blank', title: STATUS_CODES[status], status })
  expect(body.detail).toMatch(/./)
  return body
}

/** Expects the refusal of a request that does not match its schema, with the places that are wrong, in order. */
export function expectInvalid(response: LightMyRequestResponse, paths: string[]): void {
  const { errors = [] } = expectProblem(response, 400)
  expect(errors.map((error) => error.path)).toEqual(paths)
  expect(errors.every((error) => error.message.length > 0)).toBe(true)
}
