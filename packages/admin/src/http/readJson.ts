import { Problem } from './problem.ts'

const LIMIT_BYTES = 64 * 1024

/**
 * Reads a body of JSON; null if there is none. The errors have our own texts, since a parser's may quote the body.
 * @throws Problem 400, 413 or 415
 */
export async function readJson(
  headers: Headers,
  body: AsyncIterable<Uint8Array> | null,
): Promise<unknown> {
  const type = headers.get('content-type')
  if (type !== null && !/^application\/json\s*(;|$)/i.test(type)) throw notJson()
  const text = body === null ? '' : await readText(headers, body)
  if (type === null) {
    if (text === '') return null
    throw notJson()
  }
  if (text === '')
    throw new Problem(400, { detail: 'The content type is JSON but the body is empty' })
  try {
    return refusePrototypes(JSON.parse(text))
  } catch {
    throw new Problem(400, { detail: 'The body is not valid JSON' })
  }
}

async function readText(headers: Headers, body: AsyncIterable<Uint8Array>): Promise<string> {
  const tooLarge = new Problem(413, { detail: 'The body is too large' })
  if (Number(headers.get('content-length')) > LIMIT_BYTES) throw tooLarge
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > LIMIT_BYTES) throw tooLarge
    parts.push(part)
  }
  return new TextDecoder().decode(Buffer.concat(parts))
}

/** Refuses keys with which a careless merge of the payload would change every object of the process. */
function refusePrototypes(parsed: unknown): unknown {
  // Not recursive: a body may be nested deeper than the stack.
  const inside = [parsed]
  for (const value of inside) {
    if (typeof value !== 'object' || value === null) continue
    const { constructor: made } = value as { constructor: unknown }
    if (
      Object.hasOwn(value, '__proto__') ||
      (typeof made === 'object' && made !== null && Object.hasOwn(made, 'prototype'))
    )
      throw new SyntaxError('names a prototype')
    inside.push(...(Object.values(value) as unknown[]))
  }
  return parsed
}

function notJson(): Problem {
  return new Problem(415, { detail: 'The content type of the body must be application/json' })
}
