import { createHmac } from 'node:crypto'
import { DEMO_PASSWORD } from '@roundsman/db'

/** Who asks. */
export const CALLERS = [
  ...(['nobody', 'staff', 'admin', 'owner'] as const),
  ...(['session', 'sessionWithoutCsrf', 'expired', 'forged'] as const),
] as const
export type CallerKind = (typeof CALLERS)[number]

/** Callers whom a route with a log-in must refuse, whatever else they send. */
export const NOT_LOGGED_IN: ReadonlySet<CallerKind> = new Set(['nobody', 'expired', 'forged'])

export type Headers = [name: string, value: string][]
export type Callers = Record<CallerKind, Headers>

/** Logs in as each. Access tokens expire after a quarter of an hour: call it again before that. */
export async function logIn(options: { baseUrl: string; jwtSecret: string }): Promise<Callers> {
  const { baseUrl, jwtSecret } = options
  /** Logs in as a user of this role, and returns the access token. */
  const tokenOf = async (role: string) => {
    const { body } = await postCredentials(`${baseUrl}/api/auth/login`, role)
    return (body as { token: string }).token
  }
  const staff = await tokenOf('staff')
  const admin = await tokenOf('admin')
  const owner = await tokenOf('owner')
  const session = await postCredentials(`${baseUrl}/api/console/session`, 'admin')
  const cookie = session.cookies.map((text) => text.split(';', 1)[0]).join('; ')
  const { csrfToken } = session.body as { csrfToken: string }
  const [head = '', payload = ''] = owner.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const past = { ...claims, iat: 1_700_000_000, exp: 1_700_000_900 }
  return {
    nobody: [],
    staff: bearer(staff),
    admin: bearer(admin),
    owner: bearer(owner),
    session: [
      ['cookie', cookie],
      ['x-csrf-token', csrfToken],
    ],
    sessionWithoutCsrf: [['cookie', cookie]],
    expired: bearer(sign(head, past, jwtSecret)),
    forged: bearer(sign(head, claims, `${jwtSecret}.`)),
  }
}

function bearer(token: string): Headers {
  return [['authorization', `Bearer ${token}`]]
}

function sign(head: string, claims: object, secret: string): string {
  const input = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

async function postCredentials(url: string, role: string) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${role}@example.com`, password: DEMO_PASSWORD }),
  })
  if (!response.ok) throw new Error(`Logging in as ${role} gave ${response.status}`)
  return { body: await response.json(), cookies: response.headers.getSetCookie() }
}
