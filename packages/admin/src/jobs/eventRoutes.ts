import { z } from 'zod'
import { route, type Route } from '../route.ts'
import type { Changes } from '../console/createChanges.ts'

/** A client that reads too slowly is disconnected. It reconnects and gets the missed events. */
const MAX_BUFFERED_BYTES = 64 * 1024
/** Maximum lifetime of a stream: a client that reconnects shows that it is still used. */
const MAX_LIFETIME_MS = 15 * 60_000

interface EventRoutesOptions {
  changes(): Changes
  /** Ends each open stream: for a server that closes, which waits for its connections. */
  ends: Set<() => void>
  /** Time after which a user without rights, or with an expired log-in, is disconnected. */
  recheckMs: number
  /** Short enough for proxies, which end silent connections. */
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
              // The database is away: the rights are unknown, and no events come either.
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
            // Unsent data would keep the connection of a client that does not read. It gets the first missed events, and
            // reconnects for the rest.
            if (isCatchingUp || stream.desiredSize === MAX_BUFFERED_BYTES) stream.close()
            else stream.error(new Error('The client reads the events too slowly'))
          }
          function write(text: string): void {
            // subscribe() sends all missed events at once, even after a slow client was disconnected.
            if (!ends.has(end)) return
            if ((stream.desiredSize ?? 0) <= 0) end()
            else stream.enqueue(Buffer.from(text))
          }
          ends.add(end)
          signal.addEventListener('abort', end)
          // A client that is disconnected before the first event must also know its position.
          const from = lastEventId === undefined ? `id: ${changes().position()}\n` : ''
          write(`retry: 2000\n${from}\n`)
          unsubscribe = changes().subscribe(
            ({ id, event, data }) => write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`),
            lastEventId,
          )
          // The client was disconnected by the missed events, or left while its rights were checked.
          if (signal.aborted) end()
          if (!ends.has(end)) unsubscribe()
          isCatchingUp = false
        }
        const strategy = new ByteLengthQueuingStrategy({ highWaterMark: MAX_BUFFERED_BYTES })
        return new Response(new ReadableStream({ start, cancel: () => leave() }, strategy), {
          headers: {
            'content-type': 'text/event-stream; charset=utf-8',
            'cache-control': 'no-store, no-transform',
            // Without this, some proxies would buffer the events.
            'x-accel-buffering': 'no',
          },
        })
      },
    }),
  ]
}
