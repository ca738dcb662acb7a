import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problemResponses } from '../problem.ts'
import type { Changes } from './createChanges.ts'

/** Often enough for proxies that end a connection on which nothing comes. */
const KEEP_OPEN_MS = 15_000
/** A client that reads too slowly is let go; it comes back and asks for what it missed. */
const MAX_BUFFERED_BYTES = 64 * 1024
/** So that a log-in that has expired, or a user who was demoted, does not listen for ever. */
const MAX_LIFETIME_MS = 15 * 60_000

export const eventRoutes: FastifyPluginAsyncZod<{ changes: Changes }> = async (
  app,
  { changes },
) => {
  const ends = new Set<() => void>()
  // Before the server waits for its connections to end.
  app.addHook('preClose', async () => {
    for (const end of ends) end()
  })

  app.get(
    '/api/jobs/events',
    {
      onRequest: app.requireRole('admin'),
      config: { isEndless: true },
      schema: {
        tags: ['jobs'],
        summary: 'Follow what changes, as server-sent events',
        description:
          'Events: run {ids, names}, tick {names}, and reset when some may have been missed. Send Last-Event-ID to go on.',
        security: [{ accessToken: [] }],
        headers: z.looseObject({ 'last-event-id': z.string().max(100).optional() }),
        response: {
          200: z.string().describe('text/event-stream'),
          ...problemResponses(401, 403),
        },
      },
    },
    (request, reply) => {
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
        // Some proxies would collect the events otherwise.
        'x-accel-buffering': 'no',
      })
      raw.write('retry: 2000\n\n')
      const unsubscribe = changes.subscribe(({ id, event, data }) => {
        if (raw.writableLength > MAX_BUFFERED_BYTES) return end()
        raw.write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`)
      }, request.headers['last-event-id'])
      const heartbeat = setInterval(() => raw.write(':\n\n'), KEEP_OPEN_MS)
      const lifetime = setTimeout(end, MAX_LIFETIME_MS)
      function end(): void {
        raw.end()
        // What is still to be sent to one that does not read would keep the connection.
        if (raw.writableLength > MAX_BUFFERED_BYTES) raw.destroy()
      }
      ends.add(end)
      raw.once('close', () => {
        clearInterval(heartbeat)
        clearTimeout(lifetime)
        unsubscribe()
        ends.delete(end)
      })
    },
  )
}
