import type { FastifyInstance } from 'fastify'
import { buildApp } from './app'
import { prisma } from './prisma'

let app: FastifyInstance

beforeAll(async () => {
  app = buildApp()
  await app.ready()
})

afterAll(async () => {
  await prisma.ticket.deleteMany({ where: { from: 'test@example.com' } })
  await app.close()
})

test('anybody opens a ticket', async () => {
  const payload = { subject: 'The lamp flickers', from: 'test@example.com' }
  const response = await app.inject({ method: 'POST', url: '/tickets', payload })
  expect(response.statusCode).toBe(201)
  expect(response.json()).toMatchObject({ ...payload, closedAt: null })
})

test('only agents read tickets', async () => {
  expect((await app.inject({ url: '/tickets' })).statusCode).toBe(401)
})
