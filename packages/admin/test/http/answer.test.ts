import { ArgumentError } from '@roundsman/engine'
import { expect, it } from 'vitest'
import { answerFailure } from '../../src/http/answer.ts'

const silent = () => undefined
const visit = { id: '7', log: { debug: silent, info: silent, warn: silent, error: silent } }

it('what the engine refuses of a request is the request’s fault, and is named', () => {
  const { status, headers, body } = answerFailure(
    new ArgumentError('ids[3]', 'must be a UUID'),
    visit,
  )
  expect([status, headers['x-request-id']]).toEqual([400, '7'])
  expect(JSON.parse(body as string)).toMatchObject({
    status: 400,
    errors: [{ path: 'ids[3]', message: 'ids[3] must be a UUID' }],
  })
})
