import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Visit } from './createAdmin.ts'

/** Converts the parts of a node:http request. */
export function fromNode(
  request: IncomingMessage,
  response: ServerResponse,
): Pick<Visit, 'method' | 'headers' | 'signal'> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    // HTTP/2 includes the request line.
    if (value !== undefined && !name.startsWith(':')) headers.set(name, String(value))
  }
  const left = new AbortController()
  if (response.destroyed) left.abort()
  else response.once('close', () => left.abort())
  return { method: request.method ?? 'GET', headers, signal: left.signal }
}

export function toReadable(body: ReadableStream<Uint8Array>): Readable {
  // It may fail after its reader is gone; without a listener that would end the process.
  return Readable.fromWeb(body).on('error', () => undefined)
}
