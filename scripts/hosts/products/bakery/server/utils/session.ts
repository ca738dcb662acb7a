import { createHmac, scryptSync, timingSafeEqual } from 'node:crypto'
import { pool } from './database'

interface Baker {
  name: string
  password: string
  is_owner: boolean
}

const secret = () => process.env.SESSION_SECRET ?? ''
const sign = (name: string) => createHmac('sha256', secret()).update(name).digest('hex')

async function readBaker(name: string) {
  const { rows } = await pool.query<Baker>('select * from bakers where name = $1', [name])
  return rows[0] ?? null
}

/** Returns the value of a session's cookie. Null: no such name with this password. */
export async function logIn(name: string, password: string) {
  const baker = await readBaker(name)
  const given = scryptSync(password, secret(), 32)
  if (!baker || !timingSafeEqual(given, Buffer.from(baker.password, 'hex'))) return null
  return `${name}.${sign(name)}`
}

export async function findBaker(cookies = '') {
  const [, name = '', signature] = /(?:^|; )baker=(\w+)\.(\w+)/.exec(cookies) ?? []
  return signature === sign(name) ? await readBaker(name) : null
}
