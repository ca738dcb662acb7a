import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { Random } from '../createRandom.ts'
import { draw } from './arbitraryOf.ts'
import type { DraftRequest } from './createRequest.ts'

type Break = (request: DraftRequest, random: Random) => void

/** Texts without a blank, written beside each other. */
const words = (text: string) => text.trim().split(/\s+/) as [string, ...string[]]

const NASTY_TEXTS = [
  ...['', ' ', '\0', 'a\0b', '\u202e\u200b\ufeff', '\ud800', 'x\udfffy', '𝕏'.repeat(50)],
  ...['\'; drop table "User"; --', '../../../../etc/passwd', String.raw`..\..\windows\win.ini`],
  ...['%00%2e%2e%2f', '${jndi:ldap://127.0.0.1/}', '{{7*7}}', '<script>alert(1)</script>'],
  ...['\r\nset-cookie: a=b', '__proto__', 'constructor', 'null', 'NaN', 'x'.repeat(10_000)],
] as const
const NASTY_NUMBERS = [
  ...[-1, 0, -0, 0.1, 1e-320, 2 ** 31 - 1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, 2 ** 53 - 1],
  ...[2 ** 53, -(2 ** 53), 2 ** 63, 1e21, Number.MAX_VALUE],
] as const
const NASTY_DATES = words(`
  0000-01-01T00:00:00Z 0001-01-01T00:00:00+14:00 9999-12-31T23:59:59.999-12:00 +010000-01-01T00:00:00Z
  2026-02-30T00:00:00Z 2026-11-24T24:00:00Z 2026-12-31T23:59:60Z 2026-11-24T09:00:00 2026-11-24
  1899-12-31 3000-01-01 2026-13-01`)
/** Bodies that JSON.stringify would never write. */
const RAW_JSON = [
  ...['', ' ', '{', '{"a":}', "{'a':1}", '{"a":1,}', '[1,2', 'NaN', '1e400', '-1e400', '"\\ud800"'],
  ...['{"limit":1e400}', '{"reason":"\\ud800","label":"\\udc00\\ud800","ttlSeconds":60}'],
  ...['{"reason":"\\u0000","label":"\\u0000","ttlSeconds":60}', '{"__proto__":{"isAdmin":true}}'],
  ...['{"constructor":{"prototype":{"isAdmin":true}}}', '{"reason":"why","reason":"again"}'],
  ...['{"reason":"why","payload":{"__proto__":{"a":1}}}', '\ufeff{"reason":"why"}'],
  ...['{"reason":"why"}garbage', 'null', 'true', '0', '[]', '[[]]', '{}'],
] as const
const CONTENT_TYPES = [
  ...[
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'json',
    '/',
    ';',
    '*/*',
  ],
  ...['multipart/form-data; boundary=x', 'application/json; charset=utf-16', 'APPLICATION/JSON'],
  ...['application/json; charset=', 'application/json;;;', 'application/problem+json'],
  'application/json, text/plain',
] as const
const METHODS = words('HEAD OPTIONS TRACE PATCH PUT DELETE POST GET PROPFIND PURGE QUERY')
const ADDRESS_PARTS = [
  ...words(`
    . .. %2e%2e ..%2f..%2f..%2fetc%2fpasswd %2e%2e%5c%2e%2e %00 a%00b % %zz %E0%A4%A %c0%af %ff%fe
    %F0%9F%92%A9 __proto__ constructor toString null undefined -1 0 01a20e26-367c-766a-a085-72e882269712
    00000000-0000-0000-0000-000000000000 'or'1'='1 * ;a=b %23 %3f a%2fb`),
  ...['', 'x'.repeat(511), 'x'.repeat(513), 'x'.repeat(6_000)],
] as const
const QUERIES = [
  ...words(`
    a=b __proto__=x __proto__[isAdmin]=true constructor[prototype][a]=b limit[]=1 limit[a]=1
    limit=1&limit=2 name=a&name=b cursor=&cursor= = &&& % %zz=%zz %00=%00 name=%00 name=%ed%a0%80
    name=%f0%9f%92%a9 limit=0 limit=201 limit=-1 limit=1e2 limit=0x10 limit=99999999999999999999
    limit= limit=1.5 status= status=Running from=now to=0001-01-01T00%3A00%3A00Z
    from=9999-12-31T23%3A59%3A59Z&to=0001-01-01T00%3A00%3A00Z`),
  ...[`name=${'x'.repeat(5_000)}`, 'a=b&'.repeat(1_500)],
] as const
const CURSORS = [
  ...['x', '%00', 'A'.repeat(201), 'A'.repeat(200)],
  ...[
    '{"startedAt":"x","id":"y"}',
    '2026-02-30T00:00:00Z/01a20e26-367c-766a-a085-72e882269712',
    '0000-01-01T00:00:00.000Z',
    '9999-12-31T23:59:59.999Z/01a20e26-367c-766a-a085-72e882269712',
    '9999-12-31T23:59:59.999Z',
    '2026-11-24 09:00:00.123456+00/01a20e26-367c-766a-a085-72e882269712',
  ].map((text) => Buffer.from(text).toString('base64url')),
] as const
const HEADERS = Object.entries({
  authorization: [
    ...['Bearer', 'Bearer ', 'Basic b3duZXI6cGFzc3dvcmQ=', `Bearer ${'a.'.repeat(3_000)}`],
    ...['Bearer e30.e30.e30', 'Bearer eyJhbGciOiJub25lIn0.e30.', 'Bearer \u00ff\u00fe'],
  ],
  cookie: [
    ...['roundsman_session=', 'roundsman_session=garbage; roundsman_session=again'],
    ...['__proto__=x; constructor=y; =; ;;;', 'a=%E0%A4%A; b="', 'x=y; '.repeat(1_000)],
    `roundsman_session=${'x'.repeat(4_000)}`,
  ],
  'x-csrf-token': ['x', '\u00e9'],
  accept: ['nothing/known', '*/*;q=abc'],
  'accept-encoding': ['gzip, br, zstd;q=0'],
  'accept-language': ['x'.repeat(2_000)],
  'accept-version': ['99.x'],
  range: ['bytes=0-0,-1'],
  'if-none-match': ['"', '*'],
  'if-modified-since': ['never'],
  'last-event-id': ['x'.repeat(101), 'x'.repeat(100), '\u00ff'],
  expect: ['200-ok'],
  upgrade: ['websocket'],
  origin: ['null'],
  'x-forwarded-proto': ['https,http'],
  'x-forwarded-for': ['127.0.0.1, \u00ff'],
  'x-http-method-override': ['DELETE'],
  host: ['', 'a b', '127.0.0.1:99999'],
  'x-request-id': ['x'.repeat(1_000)],
  forwarded: ['for="[::1]"'],
  'content-encoding': ['gzip'],
  te: ['trailers'],
  'max-forwards': ['0'],
}).flatMap(([name, values]) => values.map((value) => [name, value] as [string, string]))
const FOREIGN_KEYS = [
  ...[
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
  ],
] as const

const anyJson = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' })

/** Ways to break what an address is asked with. */
const ADDRESS_BREAKS: Readonly<Record<string, Break>> = {
  method(request, random) {
    request.method = random.pick(METHODS)
  },
  address(request, random) {
    const names = [...request.params.keys()]
    if (names.length === 0) request.query.push(random.pick(QUERIES))
    else request.params.set(random.pick(names), random.pick(ADDRESS_PARTS))
  },
  query(request, random) {
    request.query.push(random.pick(QUERIES))
  },
  cursor(request, random) {
    const others = request.query.filter((part) => !part.startsWith('cursor='))
    request.query = [...others, `cursor=${random.pick(CURSORS)}`]
  },
  repeatedQuery(request) {
    request.query.push(...request.query)
  },
  instant(request, random) {
    const name = random.pick(['from', 'to'])
    request.query.push(`${name}=${encodeURIComponent(random.pick(NASTY_DATES))}`)
  },
  header(request, random) {
    const [name, value] = random.pick(HEADERS)
    const others = request.headers.filter(([other]) => other !== name)
    request.headers = [...others, [name, value]]
  },
  repeatedHeader(request, random) {
    const header = random.pick(HEADERS)
    request.headers.push(header, header)
  },
}

/** Ways to break a body. An address that takes none seldom looks at one. */
const BODY_BREAKS: Readonly<Record<string, Break>> = {
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
    const inPayload = `{"reason":"why","payload":{"note":${lists}}}`
    request.bytes = Buffer.from(random.pick([nested, lists, inPayload]))
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
    const noText = [0xc3, 0x28, 0xed, 0xa0, 0x80]
    request.bytes = random.pick([
      gzipSync(json),
      Buffer.from(json, 'utf16le'),
      Buffer.from([0xff, 0xfe, 0x00, 0xd8]),
      Buffer.concat([Buffer.from('{"reason":"'), Buffer.from(noText), Buffer.from('"}')]),
    ])
  },
  missing: (request, random) =>
    inside(request, random, (parent, key) => void Reflect.deleteProperty(parent, key)),
  // As JSON.parse does: an assignment would set the prototype.
  extra: (request, random) =>
    inside(request, random, (parent) => {
      const more = { value: 1, enumerable: true, configurable: true, writable: true }
      Object.defineProperty(parent, random.pick(FOREIGN_KEYS), more)
    }),
  type: (request, random) => replace(request, random, () => draw(anyJson, random)),
  text: (request, random) => replace(request, random, () => random.pick(NASTY_TEXTS)),
  number: (request, random) => replace(request, random, () => random.pick(NASTY_NUMBERS)),
  date: (request, random) => replace(request, random, () => random.pick(NASTY_DATES)),
}

/** Breaks one part of a request, or a few. */
export function breakRequest(request: DraftRequest, random: Random): void {
  const hasBody = request.operation.body !== null || random.chance(0.1)
  const breaks = Object.entries({ ...ADDRESS_BREAKS, ...(hasBody && BODY_BREAKS) })
  const count = random.chance(0.75) ? 1 : random.integer(2, 4)
  for (let done = 0; done < count; done += 1) {
    const [name, apply] = random.pick(breaks)
    apply(request, random)
    request.broken.push(name)
  }
}

function replace(request: DraftRequest, random: Random, make: () => unknown): void {
  inside(request, random, (parent, key) => {
    parent[key] = make()
  })
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
  if (places.length === 0) places.push([request.body as Record<string, unknown>, 'reason'])
  change(...random.pick(places))
}

function asObject(body: unknown): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
}
