import type { FastifyInstance } from 'fastify'
import type { Ticket } from '@prisma/client'
import { prisma } from './prisma'
import { requireAgent } from './session'

export async function openTicket(data: { subject: string; from: string }): Promise<Ticket> {
  return await prisma.$transaction(async (tx) => {
    const ticket = await tx.ticket.create({ data })
    return ticket
  })
}

export async function ticketRoutes(app: FastifyInstance): Promise<void> {
  app.post<{ Body: { subject: string; from: string } }>('/tickets', async (request, reply) => {
    return await reply.code(201).send(await openTicket(request.body))
  })

  app.get('/tickets', { preHandler: requireAgent }, async () =>
    prisma.ticket.findMany({ where: { closedAt: null }, orderBy: { id: 'asc' }, take: 100 }),
  )
}
