import type { FastifyInstance } from 'fastify'
import type { Services } from '../services.js'

export async function berthRoutes(app: FastifyInstance, { services }: { services: Services }) {
  app.get('/berths', async () => services.listBerths())
}
