import { EnvironmentError, secretProblem } from '@roundsman/node-app'
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** In characters. */
export const JWT_SECRET_LENGTH = 32

/**
 * Reads the secret that the first start put into the data folder, or makes it; only its owner can read the file. Tokens
 * survive a restart with it.
 * @throws EnvironmentError when the file holds too little, or can't be read or written
 */
export function obtainJwtSecret(dataDir: string): string {
  const file = join(dataDir, 'jwt-secret')
  const secret = read(file) ?? create(dataDir, file)
  const problem = secretProblem(secret, JWT_SECRET_LENGTH)
  if (problem === null) return secret
  throw new EnvironmentError([
    `JWT_SECRET: is not set, and ${file} ${problem}; delete that file, or set JWT_SECRET`,
  ])
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw unusable(file, error)
  }
}

/**
 * Writes a draft and links it: the file appears with its whole content, and only one of many who start at once makes
 * it.
 */
function create(dataDir: string, file: string): string {
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    linkSync(draft, file)
  } catch (error) {
    // Another process was faster. Both use its secret.
    if (!hasCode(error, 'EEXIST')) throw unusable(file, error)
  } finally {
    rmSync(draft, { force: true })
  }
  return readFileSync(file, 'utf8').trim()
}

function unusable(file: string, error: unknown): EnvironmentError {
  const { code } = error as NodeJS.ErrnoException
  return new EnvironmentError([
    `DATA_DIR: ${file} cannot be read or written (${code}); set DATA_DIR to a folder of yours, or set JWT_SECRET`,
  ])
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code
}
