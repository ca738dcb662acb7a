import { createHash } from 'node:crypto'

/**
 * What is stored of a preview's token, so that a copy of the database opens no preview. A plain
 * hash is enough: unlike a password, 256 random bits cannot be guessed.
 */
export function hashPreviewToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
