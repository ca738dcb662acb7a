import { createHash } from 'node:crypto'

/**
 * Hashes a preview's token. Only the hash is stored, so that a copy of the database opens no preview. A plain hash is
 * enough: 256 random bits can't be guessed, unlike a password.
 */
export function hashPreviewToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
