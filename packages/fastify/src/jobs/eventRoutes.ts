import type { FastifyContextConfig } from 'fastify'
import { z } from 'zod'
import type { Gate } from '../access.ts'
import type { ZodRoutes } from '../http/zodRoutes.ts'
import { problemResponses } from '../http/problem.ts'
import type { Changes } from '../console/createChanges.ts'

/** For a host that measures requests: the duration of this one says nothing. */
const ENDLESS = { isEndless: true } as FastifyContextConfig
/** A client that reads too slowly is disconnected. It comes back and asks for what it missed. */
const MAX_BUFFERED_BYTES = 64 * 1024
/** Ends each stream, whatever the checks say: a client that comes back shows that somebody still reads. */
const MAX_LIFETIME_MS = 15 * 60_000

interface EventRoutesOptions {
  gate: Gate
  changes: Changes
  /** How long somebody may go on listening who was demoted or deleted, or whose log-in expired. */
  recheckMs: number
  /** Often enough for proxies, which end a connection on which nothing comes. */
  pingIntervalMs: number
}

export const eventRoutes: ZodRoutes<EventRoutesOptions> = async (
  app,
  { gate, changes, recheckMs, pingIntervalMs },
) => {
  const ends = new Set<() => void>()
  // Fastify waits for connections to end before it closes: these would not end by themselves.
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
        summary: 'Follow changes of runs and ticks as server-sent events',
        description:
          'Events: run {ids, names}; tick {names}; reset when events may have been missed, so read everything again; ping every ten seconds, which shows that the connection holds. Send Last-Event-ID to go on after a break.',
        headers: z.looseObject({ 'last-event-id': z.string().max(100).optional() }),
        response: {
          200: {
            description: 'Events until the connection ends',
            content: { 'text/event-stream': { schema: z.string() } },
          },
          ...problemResponses(401, 403),
        },
      },
    },
    (request, reply) => {
      reply.hijack()
      const { raw } = reply
      // The client left while we asked who it is: no `close` will come any more, and nobody would end the stream.
      if (raw.destroyed) return
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
        // Without this, some proxies would collect the events.
        'x-accel-buffering': 'no',
      })
      const lastEventId = request.headers['last-event-id']
      // A client that is cut off before anything happened must know from where to go on, too.
      const from = lastEventId === undefined ? `id: ${changes.position()}\n` : ''
      raw.write(`retry: 2000\n${from}\n`)
      let unsubscribe: () => void = () => undefined
      // Without an id, since it is no position. A comment instead would not reach the page's script.
      const heartbeat = setInterval(() => raw.write('event: ping\ndata: {}\n\n'), pingIntervalMs)
      const lifetime = setTimeout(end, MAX_LIFETIME_MS)
      let recheck = setTimeout(() => void checkRole(), recheckMs)
      async function checkRole(): Promise<void> {
        try {
          if (!(await gate.stillMayView(request))) return end()
        } catch (error) {
          // The database is away: nobody can tell whether they may, and no events come either.
          request.log.warn({ err: error }, 'an open event stream could not be checked for access')
        }
        if (ends.has(end)) recheck = setTimeout(() => void checkRole(), recheckMs)
      }
      // Called at once, not on `close`: a client that does not read may never close, and a write after the end would be an
      // error that nobody handles.
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
        // Unsent data would keep the connection of a client that does not read.
        if (raw.writableLength > MAX_BUFFERED_BYTES) raw.destroy()
      }
      ends.add(end)
      raw.once('close', leave)
      unsubscribe = changes.subscribe(({ id, event, data }) => {
        // subscribe() passes on what was missed in one go, also after a too slow client was disconnected half-way.
        if (!ends.has(end)) return
        if (raw.writableLength > MAX_BUFFERED_BYTES) return end()
        raw.write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`)
      }, lastEventId)
    },
  )
}
