import { z } from 'zod'
import { route, type Route } from '../route.ts'
import type { Changes } from '../console/createChanges.ts'

/** A client that reads too slowly is disconnected. It comes back and asks for what it missed. */
const MAX_BUFFERED_BYTES = 64 * 1024
/** Ends each stream, whatever the checks say: a client that comes back shows that somebody still reads. */
const MAX_LIFETIME_MS = 15 * 60_000

interface EventRoutesOptions {
  changes(): Changes
  /** Ends each open stream: for a server that closes, which waits for its connections. */
  ends: Set<() => void>
  /** How long somebody may go on listening who was demoted or deleted, or whose log-in expired. */
  recheckMs: number
  /** Often enough for proxies, which end a connection on which nothing comes. */
  pingIntervalMs: number
}

export function eventRoutes(options: EventRoutesOptions): Route[] {
  const { changes, ends, recheckMs, pingIntervalMs } = options
  return [
    route('GET /jobs/events', {
      isEndless: true,
      summary: 'Follow changes of runs and ticks as server-sent events',
      description:
        'Events: run {ids, names}; tick {names}; reset when events may have been missed, so read everything again; ping every ten seconds, which shows that the connection holds. Send Last-Event-ID to go on after a break.',
      headers: z.looseObject({ 'last-event-id': z.string().max(100).optional() }),
      answer: {
        200: {
          description: 'Events until the connection ends',
          content: { 'text/event-stream': { schema: z.string() } },
        },
      },
      handle({ headers: { 'last-event-id': lastEventId }, log, signal, stillMayView }) {
        let leave: () => void = () => undefined
        const start = (stream: ReadableStreamDefaultController<Uint8Array>): void => {
          let isCatchingUp = true
          let unsubscribe: () => unknown = () => undefined
          // Without an id, since it is no position. A comment instead would not reach the page's script.
          const heartbeat = setInterval(() => write('event: ping\ndata: {}\n\n'), pingIntervalMs)
          const lifetime = setTimeout(end, MAX_LIFETIME_MS)
          let recheck = setTimeout(() => void checkRole(), recheckMs)
          async function checkRole(): Promise<void> {
            try {
              if (!(await stillMayView())) return end()
            } catch (error) {
              // The database is away: nobody can tell whether they may, and no events come either.
              log.warn({ err: error }, 'an open event stream could not be checked for access')
            }
            if (ends.has(end)) recheck = setTimeout(() => void checkRole(), recheckMs)
          }
          leave = () => {
            clearInterval(heartbeat)
            clearTimeout(lifetime)
            clearTimeout(recheck)
            unsubscribe()
            signal.removeEventListener('abort', end)
            ends.delete(end)
          }
          function end(): void {
            if (!ends.has(end)) return
            leave()
            // Unsent data would keep the connection of a client that does not read. What it missed, it gets the beginning of,
            // and comes back for the rest.
            if (isCatchingUp || stream.desiredSize === MAX_BUFFERED_BYTES) stream.close()
            else stream.error(new Error('The client reads the events too slowly'))
          }
          function write(text: string): void {
            // subscribe() passes on what was missed in one go, also after a too slow client was disconnected half-way.
            if (!ends.has(end)) return
            if ((stream.desiredSize ?? 0) <= 0) end()
            else stream.enqueue(Buffer.from(text))
          }
          ends.add(end)
          signal.addEventListener('abort', end)
          // A client that is cut off before anything happened must know from where to go on, too.
          const from = lastEventId === undefined ? `id: ${changes().position()}\n` : ''
          write(`retry: 2000\n${from}\n`)
          unsubscribe = changes().subscribe(
            ({ id, event, data }) => write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`),
            lastEventId,
          )
          // It was disconnected by what it had missed, or left while we asked who it is.
          if (signal.aborted) end()
          if (!ends.has(end)) unsubscribe()
          isCatchingUp = false
        }
        const strategy = new ByteLengthQueuingStrategy({ highWaterMark: MAX_BUFFERED_BYTES })
        return new Response(new ReadableStream({ start, cancel: () => leave() }, strategy), {
          headers: {
            'content-type': 'text/event-stream; charset=utf-8',
            'cache-control': 'no-store, no-transform',
            // Without this, some proxies would collect the events.
            'x-accel-buffering': 'no',
          },
        })
      },
    }),
  ]
}
