import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { Random } from '../chaos/createRandom.ts'
import { draw } from './arbitraryOf.ts'
import type { DraftRequest } from './createRequest.ts'

type Break = (request: DraftRequest, random: Random) => void

const NASTY_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\u202e\u200b\ufeff',
  '\ud800',
  'x\udfffy',
  '𝕏'.repeat(50),
  '\'; drop table "User"; --',
  '../../../../etc/passwd',
  String.raw`..\..\windows\win.ini`,
  '%00%2e%2e%2f',
  '${jndi:ldap://127.0.0.1/}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '\r\nset-cookie: a=b',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  'x'.repeat(10_000),
] as const
const NASTY_NUMBERS = [
  -1,
  0,
  -0,
  0.1,
  1e-320,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  2 ** 63,
  1e21,
  Number.MAX_VALUE,
] as const
const NASTY_DATES = [
  '0000-01-01T00:00:00Z',
  '0001-01-01T00:00:00+14:00',
  '9999-12-31T23:59:59.999-12:00',
  '+010000-01-01T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-11-24T24:00:00Z',
  '2026-12-31T23:59:60Z',
  '2026-11-24T09:00:00',
  '2026-11-24',
  '1899-12-31',
  '3000-01-01',
  '2026-13-01',
] as const
/** Bodies that JSON.stringify would never write. */
const RAW_JSON = [
  '',
  ' ',
  '{',
  '{"a":}',
  "{'a':1}",
  '{"a":1,}',
  '[1,2',
  'NaN',
  '1e400',
  '-1e400',
  '{"limit":1e400}',
  '"\\ud800"',
  '{"reason":"\\ud800","label":"\\udc00\\ud800","ttlSeconds":60}',
  '{"reason":"\\u0000","label":"\\u0000","ttlSeconds":60}',
  '{"__proto__":{"isAdmin":true}}',
  '{"constructor":{"prototype":{"isAdmin":true}}}',
  '{"reason":"why","reason":"again"}',
  '{"reason":"why","payload":{"__proto__":{"a":1}}}',
  '\ufeff{"reason":"why"}',
  '{"reason":"why"}garbage',
  'null',
  'true',
  '0',
  '[]',
  '[[]]',
  '{}',
] as const
const CONTENT_TYPES = [
  'text/plain',
  'application/xml',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json; charset=',
  'application/json;;;',
  'APPLICATION/JSON',
  'application/problem+json',
  'application/json, text/plain',
  'json',
  '/',
  ';',
  '*/*',
] as const
const METHODS = [
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'PUT',
  'DELETE',
  'POST',
  'GET',
  'PROPFIND',
  'PURGE',
  'QUERY',
] as const
const ADDRESS_PARTS = [
  '',
  '.',
  '..',
  '%2e%2e',
  '..%2f..%2f..%2fetc%2fpasswd',
  '%2e%2e%5c%2e%2e',
  '%00',
  'a%00b',
  '%',
  '%zz',
  '%E0%A4%A',
  '%c0%af',
  '%ff%fe',
  '%F0%9F%92%A9',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  '-1',
  '0',
  '01a20e26-367c-766a-a085-72e882269712',
  '00000000-0000-0000-0000-000000000000',
  "'or'1'='1",
  '*',
  ';a=b',
  '%23',
  '%3f',
  'a%2fb',
  'x'.repeat(511),
  'x'.repeat(513),
  'x'.repeat(6_000),
] as const
const QUERIES = [
  'a=b',
  '__proto__=x',
  '__proto__[isAdmin]=true',
  'constructor[prototype][a]=b',
  'limit[]=1',
  'limit[a]=1',
  'limit=1&limit=2',
  'name=a&name=b',
  'cursor=&cursor=',
  '=',
  '&&&',
  '%',
  '%zz=%zz',
  '%00=%00',
  'name=%00',
  'name=%ed%a0%80',
  'name=%f0%9f%92%a9',
  `name=${'x'.repeat(5_000)}`,
  'a=b&'.repeat(1_500),
  'limit=0',
  'limit=201',
  'limit=-1',
  'limit=1e2',
  'limit=0x10',
  'limit=99999999999999999999',
  'limit=',
  'limit=1.5',
  'status=',
  'status=Running',
  'from=now',
  'to=0001-01-01T00%3A00%3A00Z',
  'from=9999-12-31T23%3A59%3A59Z&to=0001-01-01T00%3A00%3A00Z',
] as const
const CURSORS = [
  'x',
  '%00',
  Buffer.from('{"startedAt":"x","id":"y"}').toString('base64url'),
  Buffer.from('2026-02-30T00:00:00Z/01a20e26-367c-766a-a085-72e882269712').toString('base64url'),
  Buffer.from('0000-01-01T00:00:00.000Z').toString('base64url'),
  Buffer.from('9999-12-31T23:59:59.999Z/01a20e26-367c-766a-a085-72e882269712').toString(
    'base64url',
  ),
  Buffer.from('9999-12-31T23:59:59.999Z').toString('base64url'),
  Buffer.from('2026-11-24 09:00:00.123456+00/01a20e26-367c-766a-a085-72e882269712').toString(
    'base64url',
  ),
  'A'.repeat(201),
  'A'.repeat(200),
] as const
const HEADERS = [
  ['authorization', 'Bearer'],
  ['authorization', 'Bearer '],
  ['authorization', 'Basic b3duZXI6cGFzc3dvcmQ='],
  ['authorization', `Bearer ${'a.'.repeat(3_000)}`],
  ['authorization', 'Bearer e30.e30.e30'],
  ['authorization', 'Bearer eyJhbGciOiJub25lIn0.e30.'],
  ['authorization', 'Bearer \u00ff\u00fe'],
  ['cookie', 'roundsman_session='],
  ['cookie', 'roundsman_session=garbage; roundsman_session=again'],
  ['cookie', '__proto__=x; constructor=y; =; ;;;'],
  ['cookie', 'a=%E0%A4%A; b="'],
  ['cookie', `roundsman_session=${'x'.repeat(4_000)}`],
  ['cookie', 'x=y; '.repeat(1_000)],
  ['x-csrf-token', 'x'],
  ['x-csrf-token', '\u00e9'],
  ['accept', 'nothing/known'],
  ['accept', '*/*;q=abc'],
  ['accept-encoding', 'gzip, br, zstd;q=0'],
  ['accept-language', 'x'.repeat(2_000)],
  ['accept-version', '99.x'],
  ['range', 'bytes=0-0,-1'],
  ['if-none-match', '"'],
  ['if-none-match', '*'],
  ['if-modified-since', 'never'],
  ['last-event-id', 'x'.repeat(101)],
  ['last-event-id', 'x'.repeat(100)],
  ['last-event-id', '\u00ff'],
  ['expect', '200-ok'],
  ['upgrade', 'websocket'],
  ['origin', 'null'],
  ['x-forwarded-proto', 'https,http'],
  ['x-forwarded-for', '127.0.0.1, \u00ff'],
  ['x-http-method-override', 'DELETE'],
  ['host', ''],
  ['host', 'a b'],
  ['host', '127.0.0.1:99999'],
  ['x-request-id', 'x'.repeat(1_000)],
  ['forwarded', 'for="[::1]"'],
  ['content-encoding', 'gzip'],
  ['te', 'trailers'],
  ['max-forwards', '0'],
] as const

const anyJson = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' })

const BREAKS: Readonly<Record<string, Break>> = {
  method(request, random) {
    request.method = random.pick(METHODS)
  },
  address(request, random) {
    const names = [...request.params.keys()]
    const [first, ...rest] = names
    if (first === undefined) request.query.push(random.pick(QUERIES))
    else request.params.set(random.pick([first, ...rest]), random.pick(ADDRESS_PARTS))
  },
  query(request, random) {
    request.query.push(random.pick(QUERIES))
  },
  cursor(request, random) {
    request.query = [
      ...request.query.filter((part) => !part.startsWith('cursor=')),
      `cursor=${random.pick(CURSORS)}`,
    ]
  },
  repeatedQuery(request) {
    request.query.push(...request.query)
  },
  instant(request, random) {
    request.query.push(
      `${random.pick(['from', 'to'])}=${encodeURIComponent(random.pick(NASTY_DATES))}`,
    )
  },
  header(request, random) {
    const [name, value] = random.pick<readonly [string, string]>(HEADERS)
    const others = request.headers.filter(([other]) => other !== name)
    request.headers = [...others, [name, value]]
  },
  repeatedHeader(request, random) {
    const [name, value] = random.pick<readonly [string, string]>(HEADERS)
    request.headers.push([name, value], [name, value])
  },
  rawJson(request, random) {
    request.bytes = Buffer.from(random.pick(RAW_JSON))
  },
  anyBody(request, random) {
    request.body = draw(anyJson, random)
  },
  deepBody(request, random) {
    const depth = random.pick([40, 1_000, 15_000])
    const nested = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    const lists = `${'['.repeat(depth)}${']'.repeat(depth)}`
    request.bytes = Buffer.from(
      random.pick([nested, lists, `{"reason":"why","payload":{"note":${lists}}}`]),
    )
  },
  hugeBody(request, random) {
    const size = random.pick([65_535, 65_537, 200_000, 4_300_000])
    request.bytes = Buffer.from(`{"reason":"${'x'.repeat(size)}"}`)
  },
  manyItems(request, random) {
    const count = random.pick([5_000, 5_001, 60_000])
    request.body = { ...asObject(request.body), lines: Array.from({ length: count }, () => 0) }
  },
  contentType(request, random) {
    request.headers = [...request.headers, ['content-type', random.pick(CONTENT_TYPES)]]
    request.bytes ??= Buffer.from(random.pick(['a=b', '{}', '<a/>', '']))
  },
  encoding(request, random) {
    const json = JSON.stringify(request.body ?? {})
    request.bytes = random.pick([
      gzipSync(json),
      Buffer.from(json, 'utf16le'),
      Buffer.from([0xff, 0xfe, 0x00, 0xd8]),
      Buffer.concat([
        Buffer.from('{"reason":"'),
        Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]),
        Buffer.from('"}'),
      ]),
    ])
  },
  missing(request, random) {
    inside(request, random, (parent, key) => {
      Reflect.deleteProperty(parent, key)
    })
  },
  extra(request, random) {
    const key = random.pick([
      'extra',
      'id',
      '__proto__',
      'constructor',
      'toString',
      '',
      'a\0',
      '\ud800',
      'isAdmin',
      'role',
    ])
    inside(request, random, (parent) => {
      // As JSON.parse does: an assignment would set the prototype.
      Object.defineProperty(parent, key, {
        value: 1,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    })
  },
  type(request, random) {
    inside(request, random, (parent, key) => {
      parent[key] = draw(anyJson, random)
    })
  },
  text(request, random) {
    inside(request, random, (parent, key) => {
      parent[key] = random.pick(NASTY_TEXTS)
    })
  },
  number(request, random) {
    inside(request, random, (parent, key) => {
      parent[key] = random.pick(NASTY_NUMBERS)
    })
  },
  date(request, random) {
    inside(request, random, (parent, key) => {
      parent[key] = random.pick(NASTY_DATES)
    })
  },
}

/** Ways that break the body. An address that takes no body seldom looks at one. */
const BODY_BREAKS: ReadonlySet<string> = new Set([
  'rawJson',
  'anyBody',
  'deepBody',
  'hugeBody',
  'manyItems',
  'contentType',
  'encoding',
  'missing',
  'extra',
  'type',
  'text',
  'number',
  'date',
])

/** Breaks one part of a request, or a few. */
export function breakRequest(request: DraftRequest, random: Random): void {
  const hasBody = request.operation.body !== null || random.chance(0.1)
  const [first = '', ...rest] = Object.keys(BREAKS).filter(
    (name) => hasBody || !BODY_BREAKS.has(name),
  )
  const count = random.chance(0.75) ? 1 : random.integer(2, 4)
  for (let done = 0; done < count; done += 1) {
    const name = random.pick([first, ...rest])
    BREAKS[name]?.(request, random)
    request.broken.push(name)
  }
}

/** Changes a drawn place of the body, however deep it is. */
function inside(
  request: DraftRequest,
  random: Random,
  change: (parent: Record<string, unknown>, key: string) => void,
): void {
  request.body = structuredClone(asObject(request.body))
  const places: [parent: Record<string, unknown>, key: string][] = []
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, item] of Object.entries(value)) {
      places.push([value as Record<string, unknown>, key])
      visit(item)
    }
  }
  visit(request.body)
  const [first = [request.body as Record<string, unknown>, 'reason'] as const, ...rest] = places
  const [parent, key] = random.pick([first, ...rest])
  change(parent, key)
}

function asObject(body: unknown): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
}
