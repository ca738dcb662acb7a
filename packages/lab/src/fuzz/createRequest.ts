import type { Random } from '../createRandom.ts'
import { DEMO_PASSWORD } from '@roundsman/db'
import { arbitraryOf, draw } from './arbitraryOf.ts'
import { CALLERS, type CallerKind, type Callers, type Headers } from './callers.ts'
import type { Knowledge } from './createKnowledge.ts'
import type { Operation, Parameter } from './readOperations.ts'

/** A request in parts, each of which can be broken. */
export interface DraftRequest {
  /** The operation that it was drawn for. Once broken, it may be for another or none. */
  operation: Operation
  caller: CallerKind
  /** What was broken. Empty for a request as documented. */
  broken: string[]
  method: string
  /** Percent-encoded, without slashes. */
  params: Map<string, string>
  /** Percent-encoded. */
  query: string[]
  headers: Headers
  body: unknown
  /** Sent instead of `body`: bytes that need not be JSON. */
  bytes?: Buffer
}

export interface RequestContext {
  operations: readonly Operation[]
  callers: Callers
  knowledge: Knowledge
}

/** So few that most requests about a schedule find it. */
const SCHEDULE_KEYS = ['a', 'tenant 7'] as const
const SCHEDULED_JOB = 'cleanupI18nCache'
/** When it is due; the preview asks by the same names. */
const SCHEDULE: Readonly<Record<string, string>> = {
  cron: '0 9 * * MON',
  timeZone: 'Europe/Lisbon',
}
const CURRENCIES = ['EUR', 'USD', 'JPY', 'KWD', 'CLF'] as const
const LOCALES = ['de-DE', 'en-GB', 'fr', 'ar-EG', 'ja', 'zh-Hant-TW'] as const

/** Draws a request as documented, mostly about something that exists, and from somebody who may ask. */
export function createRequest(context: RequestContext, random: Random): DraftRequest {
  // Requests that change something come twice as often, since most can go wrong there, and logging in takes longest.
  const operation = random.pick(
    context.operations.flatMap((one) => (one.body && one.needsLogin ? [one, one] : [one])),
  )
  const caller = pickCaller(operation, random)
  const request: DraftRequest = {
    operation,
    caller,
    broken: [],
    method: operation.method,
    params: new Map(
      operation.params.map((param) => [param.name, drawParam(context, operation, param, random)]),
    ),
    query: operation.query
      .filter(({ isRequired }) => isRequired || random.chance(0.3))
      .map((parameter) => drawQuery(context, operation, parameter, random)),
    headers: [...context.callers[caller]],
    body: undefined,
  }
  if (operation.body && (operation.body.isRequired || random.chance(0.7))) {
    const body = draw(arbitraryOf(operation.body.schema), random)
    request.body = makeSense(context, request, body, random)
  }
  if (operation.path.endsWith('/pdf') && random.chance(0.3)) {
    request.headers.push(['if-none-match', random.pick(['"v1"', 'W/"v1", "v2"', '*'])])
  }
  if (operation.path.endsWith('/events') && random.chance(0.3)) {
    request.headers.push([
      'last-event-id',
      draw(arbitraryOf({ type: 'string', pattern: '^[!-~]{1,40}$' }), random) as string,
    ])
  }
  return request
}

/** The address as it is sent. */
export function targetOf({ operation, params, query }: DraftRequest): string {
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params.get(name) ?? '')
  return query.length === 0 ? path : `${path}?${query.join('&')}`
}

function pickCaller(operation: Operation, random: Random): CallerKind {
  if (random.chance(0.3)) return random.pick(CALLERS)
  return operation.needsLogin ? random.pick(['admin', 'owner', 'session']) : 'nobody'
}

function drawParam(
  { knowledge }: RequestContext,
  operation: Operation,
  { name, schema }: Parameter,
  random: Random,
): string {
  if (operation.path.includes('/schedules') && random.chance(0.85)) {
    return encodeURIComponent(name === 'key' ? random.pick(SCHEDULE_KEYS) : SCHEDULED_JOB)
  }
  const seen = random.chance(0.85) ? knowledge.param(operation, name, random) : undefined
  if (seen !== undefined) return encodeURIComponent(seen)
  if (operation.path.includes('/i18n/') && random.chance(0.7)) {
    return name === 'locale'
      ? random.pick(['de', 'en', 'fr', 'nl'])
      : random.pick(['invoice.title', 'common.save', 'none'])
  }
  return encodeURIComponent(String(draw(arbitraryOf(schema), random)))
}

function drawQuery(
  { knowledge }: RequestContext,
  operation: Operation,
  { name, schema }: Parameter,
  random: Random,
): string {
  const seen =
    name === 'cursor'
      ? knowledge.cursor(operation, random)
      : name === 'name'
        ? knowledge.value('job', random)
        : random.chance(0.8)
          ? SCHEDULE[name]
          : undefined
  const value = seen ?? String(draw(arbitraryOf(schema), random))
  return `${name}=${encodeURIComponent(value)}`
}

/** Puts in what a schema does not say: which currencies exist, which version is the current one. */
function makeSense(
  { knowledge }: RequestContext,
  { operation, params }: DraftRequest,
  drawn: unknown,
  random: Random,
): unknown {
  if (typeof drawn !== 'object' || drawn === null || random.chance(0.1)) return drawn
  const body = { ...drawn } as Record<string, unknown>
  switch (operation.id) {
    case 'POST /api/auth/login':
    case 'POST /api/console/session':
      return {
        email: `${random.pick(['staff', 'admin', 'owner', 'nobody'])}@example.com`,
        password: random.chance(0.8) ? DEMO_PASSWORD : body['password'],
      }
    case 'PUT /api/invoices/{id}':
    case 'POST /api/invoices': {
      const version = knowledge.versionOf(params.get('id') ?? '') ?? 1
      const { issuedOn } = body
      return {
        ...body,
        currency: random.pick(CURRENCIES),
        locale: random.pick(LOCALES),
        ...(typeof issuedOn === 'string' && 'dueOn' in body && { dueOn: issuedOn }),
        lines: (body['lines'] as object[]).map((line) => ({
          ...line,
          quantity: random.pick(['1.5', '1', 3, '0.001', '-2', 1.25]),
          ...(random.chance(0.8) && { unitPriceMinor: random.integer(-10_000, 1_000_000) }),
        })),
        ...(operation.method === 'PUT' && { version }),
      }
    }
    case 'POST /api/preview-sessions': {
      const { ttlSeconds, expiresAt, ...rest } = body
      return expiresAt !== undefined && random.chance(0.5)
        ? { ...rest, expiresAt }
        : { ...rest, ttlSeconds: ttlSeconds ?? 3_600 }
    }
    case 'POST /api/jobs/bulk':
      return {
        reason: body['reason'],
        ...(random.chance(0.5) ? { all: true } : { name: knowledge.value('job', random) }),
        kind: random.pick(['redrive', 'discard', 'cancelWork']),
      }
    case 'POST /api/jobs/named/{name}/schedules':
      return {
        ...SCHEDULE,
        reason: body['reason'],
        key: random.pick(SCHEDULE_KEYS),
        payload: {},
        ifVersion: random.pick([0, 0, 0, 1]),
      }
    case 'POST /api/jobs/named/{name}/run': {
      const invoiceId = knowledge.value('invoice', random)
      switch (params.get('name')) {
        case 'renderInvoicePdf':
          return { ...body, payload: { invoiceId, version: knowledge.versionOf(invoiceId ?? '') } }
        case 'dispatchEmail':
          return { ...body, payload: { emailId: knowledge.value('email', random) } }
        default:
          return random.chance(0.8) ? { ...body, payload: {} } : body
      }
    }
    default:
      return body
  }
}
