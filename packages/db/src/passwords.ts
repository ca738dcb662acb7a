import {
  randomBytes,
  scrypt,
  timingSafeEqual,
  type BinaryLike,
  type ScryptOptions,
} from 'node:crypto'
import { promisify } from 'node:util'

/**
 * One of the settings of equal strength in OWASP's password storage cheat sheet. This one takes more time and less memory,
 * 16 MiB for each hash under way, so that some log-ins at once do not exhaust a small machine.
 */
const PARAMETERS: Parameters = { ln: 14, r: 8, p: 5 }
const SALT_BYTES = 16
const HASH_BYTES = 32

/** What a log-in with an unknown e-mail is compared with. No password is known to have this hash. */
const NOBODYS_HASH = formatHash(PARAMETERS, Buffer.alloc(SALT_BYTES), Buffer.alloc(HASH_BYTES))

interface Parameters {
  /** The binary logarithm of scrypt's N. */
  ln: number
  r: number
  p: number
}

/**
 * How many hashes are made at once; others wait. Each takes one of the four threads that Node has for such work, and so
 * does a new connection to PostgreSQL, to prove its password. Behind a row of log-ins, connections would time out.
 */
const MAX_AT_ONCE = 2
/** How many may wait, some seconds each, holding a request and a password. Whoever comes then gets TooManyHashesError. */
const MAX_WAITING = 16
let underWay = 0
const waiting: (() => void)[] = []

const deriveKey = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt)

/** A hash is made of the whole password: longer ones would keep the machine busy. */
export const MAX_PASSWORD_LENGTH = 200

/** Too many hashes wait to be made. Nothing was compared: the caller may try again later. */
export class TooManyHashesError extends Error {
  override readonly name = 'TooManyHashesError'
}

/**
 * Returns a scrypt hash in PHC form, which names its parameters: `$scrypt$ln=14,r=8,p=5$salt$hash`.
 * @throws TooManyHashesError
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  return formatHash(PARAMETERS, salt, await derive(password, salt, PARAMETERS, HASH_BYTES))
}

/**
 * Returns whether the password is the one that was hashed. Without a hash (there is no such user) it answers no after the
 * time that a wrong password takes, so that the time does not tell who has an account.
 * @throws TooManyHashesError
 * @throws Error if the hash is not a scrypt hash in PHC form
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const stored = parseHash(hash ?? NOBODYS_HASH)
  const derived = await derive(password, stored.salt, stored.parameters, stored.hash.length)
  return timingSafeEqual(derived, stored.hash) && hash !== undefined
}

async function derive(
  password: string,
  salt: Buffer,
  { ln, r, p }: Parameters,
  length: number,
): Promise<Buffer> {
  const N = 2 ** ln
  // Node allows 32 MiB unless told otherwise. scrypt needs 128 * r * (N + p) bytes and a little more.
  const maxmem = 128 * r * (N + p) + 1024 * 1024
  if (underWay >= MAX_AT_ONCE && waiting.length >= MAX_WAITING) {
    throw new TooManyHashesError('Too many passwords wait to be hashed; try again in a moment')
  }
  if (underWay >= MAX_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
  else underWay += 1
  try {
    // Another keyboard may type the same letters in another Unicode form.
    return await deriveKey(password.normalize('NFKC'), salt, length, { N, r, p, maxmem })
  } finally {
    // The place goes straight to whoever has waited longest, so that nobody overtakes.
    const next = waiting.shift()
    if (next) next()
    else underWay -= 1
  }
}

function formatHash({ ln, r, p }: Parameters, salt: Buffer, hash: Buffer): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${toBase64(salt)}$${toBase64(hash)}`
}

function parseHash(text: string) {
  const match =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
      text,
    )
  if (!match) throw new Error('A stored password hash is not a scrypt hash in PHC form')
  const [ln, r, p] = match.slice(1, 4).map(Number) as [number, number, number]
  const [salt, hash] = match.slice(4, 6).map((part) => Buffer.from(part, 'base64')) as [
    Buffer,
    Buffer,
  ]
  return { parameters: { ln, r, p }, salt, hash }
}

/** PHC strings carry no padding. */
function toBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
