import { JobError } from '../contract/index.ts'

/** What is stored of an error, in JobRun.details.error. */
export interface ErrorDescription {
  [key: string]: string
  code: string
  message: string
}

const MAX_MESSAGE_LENGTH = 500
// Shorter values (a locale, a digit) are everywhere in ordinary words; taking them out would only garble.
const MIN_SECRET_LENGTH = 4

/**
 * Says what went wrong without saying with what: credentials in URLs and headers, and every text of the
 * payload, are taken out of messages that others have written.
 */
export function describeError(error: unknown, payload?: unknown): ErrorDescription {
  if (error instanceof JobError) return { code: error.code, message: error.message }
  const { code, message } = error as { code?: unknown; message?: unknown }
  return {
    code: typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'handler_failed',
    message: redact(typeof message === 'string' ? message : String(error), payload),
  }
}

function redact(message: string, payload: unknown): string {
  // Prisma quotes the whole call, arguments included, and puts the reason in the last paragraph.
  let text = message
    .slice(message.lastIndexOf('\n\n') + 1)
    .trim()
    .replaceAll(/(\w+:\/\/)[^\s/@]+@/g, '$1[redacted]@')
    .replaceAll(/\b(Bearer|Basic)\s+\S+/gi, '$1 [redacted]')
  for (const value of textsIn(payload).toSorted((a, b) => b.length - a.length)) {
    text = text.replaceAll(value, '[redacted]')
  }
  return text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH)}…` : text
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value)
    return text.length >= MIN_SECRET_LENGTH ? [text] : []
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(textsIn)
}
