import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether the authorization header carries the token. A wrong token takes as long however much of it is right. */
export function mayScrape(authorization: string | undefined, token: string): boolean {
  const [, given] = /^Bearer (.+)$/i.exec(authorization ?? '') ?? []
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
