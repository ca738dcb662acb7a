import { describe, expect, it } from 'vitest'
import { ApiError, asApiError, toApiError, unreachable } from '../../src/api/apiError.ts'
import { sessionStateAfterError } from '../../src/session/sessionStateAfterError.ts'

const PROBLEM = 'application/problem+json; charset=utf-8'

describe('toApiError', () => {
  it('takes title, detail and issues from a problem document', () => {
    const body = JSON.stringify({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: 'The payload does not fit the job renderInvoicePdf',
      errors: [{ path: 'body.payload.invoiceId', message: 'is missing' }, { path: 3 }],
    })
    expect(toApiError(400, PROBLEM, body)).toMatchObject({
      kind: 'refused',
      title: 'Bad Request',
      detail: 'The payload does not fit the job renderInvoicePdf',
      issues: [{ path: 'body.payload.invoiceId', message: 'is missing' }],
    })
  })

  it.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'refused'],
    [409, 'refused'],
    [500, 'failed'],
    [502, 'unreachable'],
    [503, 'unreachable'],
    [504, 'unreachable'],
  ])('takes %d for %s', (status, kind) => {
    expect(toApiError(status, null, '').kind).toBe(kind)
  })

  it('shows no page of something on the way', () => {
    const error = toApiError(502, 'text/html', '<h1>Bad gateway</h1>')
    expect(error.detail).toBe('The server answered with status 502.')
  })

  it('copes with a problem document that is none', () => {
    expect(toApiError(400, PROBLEM, '{"title": ').detail).toBe(
      'The server answered with status 400.',
    )
    expect(toApiError(400, PROBLEM, 'null').title).toBe('Error')
    expect(toApiError(400, PROBLEM, '{"title":"","detail":7}').title).toBe('Error')
  })
})

describe('asApiError', () => {
  it('leaves one as it is', () => {
    const error = unreachable(new TypeError('fetch failed'))
    expect(asApiError(error)).toBe(error)
    expect(error.kind).toBe('unreachable')
  })

  it('wraps whatever else is thrown', () => {
    expect(asApiError(new Error('boom'))).toMatchObject({ kind: 'failed', detail: 'boom' })
    expect(asApiError('boom')).toBeInstanceOf(ApiError)
  })
})

describe('what an error says about the session', () => {
  const error = (status: number) => new ApiError({ status, title: '', detail: 'no' })

  it('is that it has ended, for one who was in', () => {
    expect(sessionStateAfterError(error(401), true)).toEqual({ kind: 'nobody', hasExpired: true })
    expect(sessionStateAfterError(error(401))).toEqual({ kind: 'nobody', hasExpired: false })
  })

  it('is that one may not, when the role is gone', () => {
    expect(sessionStateAfterError(error(403))).toEqual({ kind: 'refused', detail: 'no' })
  })

  it('is nothing when the server is away or the request is bad', () => {
    expect(sessionStateAfterError(unreachable(null))).toBeNull()
    expect(sessionStateAfterError(error(409))).toBeNull()
    expect(sessionStateAfterError(new Error('401'))).toBeNull()
  })
})
