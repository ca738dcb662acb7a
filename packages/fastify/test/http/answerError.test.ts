import { ArgumentError } from '@roundsman/engine'
import Fastify from 'fastify'
import { expect, it } from 'vitest'
import { answerError } from '../../src/http/answerError.ts'

it('what the engine refuses of a request is the request’s fault, and is named', async () => {
  const app = Fastify().setErrorHandler(answerError)
  app.get('/', () => {
    throw new ArgumentError('ids[3]', 'must be a UUID')
  })
  const answer = await app.inject('/')
  expect(answer.statusCode).toBe(400)
  expect(answer.json()).toMatchObject({
    status: 400,
    errors: [{ path: 'ids[3]', message: 'ids[3] must be a UUID' }],
  })
  await app.close()
})
