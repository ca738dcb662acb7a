import { storage } from '@tideworks/storage'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from './app.js'

let app: FastifyInstance

beforeAll(async () => {
  app = await buildApp()
  await storage.berth.upsert({
    where: { code: 'TEST-1' },
    update: {},
    create: { code: 'TEST-1', lengthCm: 900 },
  })
})

afterAll(async () => {
  await storage.booking.deleteMany({ where: { berth: { code: 'TEST-1' } } })
  await storage.berth.delete({ where: { code: 'TEST-1' } })
  await app.close()
})

test('a berth is booked once a night', async () => {
  const payload = { berth: 'TEST-1', boat: 'Petrel', night: '2026-07-01' }
  const first = await app.inject({ method: 'POST', url: '/bookings', payload })
  expect(first.statusCode).toBe(201)
  const second = await app.inject({ method: 'POST', url: '/bookings', payload })
  expect(second.statusCode).toBe(500)
})
