import type { FastifyInstance } from 'fastify'
import type { NewBooking, Services } from '../services.js'

export async function bookingRoutes(app: FastifyInstance, { services }: { services: Services }) {
  app.post<{ Body: NewBooking }>('/bookings', async (request, reply) =>
    reply.code(201).send(await services.bookBerth(request.body)),
  )
}
