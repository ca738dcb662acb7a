import { storage } from '@tideworks/storage'
import Fastify, { type FastifyInstance } from 'fastify'
import { addLogIn } from './logIn.js'
import { berthRoutes } from './routes/berths.js'
import { bookingRoutes } from './routes/bookings.js'
import { createServices } from './services.js'

export async function buildApp(): Promise<FastifyInstance> {
  const app = Fastify({ logger: true })
  app.addHook('onClose', () => storage.$disconnect())

  await addLogIn(app)
  const services = createServices()
  await app.register(berthRoutes, { services })
  await app.register(bookingRoutes, { services })
  return app
}
