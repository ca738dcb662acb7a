import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether a request's authorization header carries the token. Takes as long for one that is nearly right. */
export function mayScrape(authorization: string | undefined, token: string): boolean {
  const [, given] = /^Bearer (.+)$/i.exec(authorization ?? '') ?? []
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
