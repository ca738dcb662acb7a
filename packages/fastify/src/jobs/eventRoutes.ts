import type { FastifyContextConfig } from 'fastify'
import { z } from 'zod'
import type { Gate } from '../access.ts'
import type { ZodRoutes } from '../http/zodRoutes.ts'
import { problemResponses } from '../http/problem.ts'
import type { Changes } from '../console/createChanges.ts'

/** For a host that measures: how long its answer took says nothing. */
const ENDLESS = { isEndless: true } as FastifyContextConfig
/** A client that reads too slowly is let go; it comes back and asks for what it missed. */
const MAX_BUFFERED_BYTES = 64 * 1024
/** Whatever the checks say: a client that comes back shows that somebody still reads. */
const MAX_LIFETIME_MS = 15 * 60_000

interface EventRoutesOptions {
  gate: Gate
  changes: Changes
  /** How long somebody who was demoted or deleted, or whose log-in has expired, may go on listening. */
  recheckMs: number
  /** Often enough for proxies that end a connection on which nothing comes. */
  pingIntervalMs: number
}

export const eventRoutes: ZodRoutes<EventRoutesOptions> = async (
  app,
  { gate, changes, recheckMs, pingIntervalMs },
) => {
  const ends = new Set<() => void>()
  // Before the server waits for its connections to end.
  app.addHook('preClose', async () => {
    for (const end of ends) end()
  })

  app.get(
    '/jobs/events',
    {
      // An answer to HEAD would never end, and nothing could follow it on its connection.
      exposeHeadRoute: false,
      onRequest: gate.mayView,
      config: ENDLESS,
      schema: {
        tags: ['jobs'],
        summary: 'Follow what changes, as server-sent events',
        description:
          'Events: run {ids, names}, tick {names}, reset when some may have been missed, and every ten seconds ping, by which a client knows that the connection holds. Send Last-Event-ID to go on.',
        headers: z.looseObject({ 'last-event-id': z.string().max(100).optional() }),
        response: {
          200: {
            description: 'Events, for as long as the connection holds',
            content: { 'text/event-stream': { schema: z.string() } },
          },
          ...problemResponses(401, 403),
        },
      },
    },
    (request, reply) => {
      reply.hijack()
      const { raw } = reply
      // Gone while it was seen who asks: there will be no other close, and nobody else would end what begins here.
      if (raw.destroyed) return
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
        // Some proxies would collect the events otherwise.
        'x-accel-buffering': 'no',
      })
      const lastEventId = request.headers['last-event-id']
      // Also one that is cut off before anything has happened knows from where to go on.
      const from = lastEventId === undefined ? `id: ${changes.position()}\n` : ''
      raw.write(`retry: 2000\n${from}\n`)
      let unsubscribe: () => void = () => undefined
      // Without an id: it is none to go on from. A comment would not be told to whoever reads it in a browser.
      const heartbeat = setInterval(() => raw.write('event: ping\ndata: {}\n\n'), pingIntervalMs)
      const lifetime = setTimeout(end, MAX_LIFETIME_MS)
      let recheck = setTimeout(() => void checkRole(), recheckMs)
      async function checkRole(): Promise<void> {
        try {
          if (!(await gate.stillMayView(request))) return end()
        } catch (error) {
          // While the database is away there is nothing to tell of either.
          request.log.warn({ err: error }, 'whether a listener still may look was not checked')
        }
        if (ends.has(end)) recheck = setTimeout(() => void checkRole(), recheckMs)
      }
      // At once, not when it has closed: one that does not read may never, and a write after the end is an error
      // that nobody handles.
      function leave(): void {
        clearInterval(heartbeat)
        clearTimeout(lifetime)
        clearTimeout(recheck)
        unsubscribe()
        ends.delete(end)
      }
      function end(): void {
        leave()
        raw.end()
        // What is still to be sent to one that does not read would keep the connection.
        if (raw.writableLength > MAX_BUFFERED_BYTES) raw.destroy()
      }
      ends.add(end)
      raw.once('close', leave)
      unsubscribe = changes.subscribe(({ id, event, data }) => {
        // Of what a client has missed, the rest is still told when it was let go in the middle.
        if (!ends.has(end)) return
        if (raw.writableLength > MAX_BUFFERED_BYTES) return end()
        raw.write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`)
      }, lastEventId)
    },
  )
}
