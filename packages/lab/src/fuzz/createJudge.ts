import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { NOT_LOGGED_IN, type CallerKind } from './callers.ts'
import type { OpenApiDocument, Operation } from './readOperations.ts'
import type { Answer } from './createSender.ts'

export interface Judged {
  method: string
  /** Undefined when the request was for nothing in the document. */
  operation: Operation | undefined
  caller: CallerKind
  answer: Answer
}

/** What is wrong with an answer, in words. Empty when it is as documented. */
export type Judge = (judged: Judged) => string[]

const PROBLEM = 'application/problem+json'

/** Statuses that an address without a route may answer: a request may be refused before a route is looked for. */
const WITHOUT_ROUTE: ReadonlySet<number> = new Set([400, 403, 404, 413, 414, 415, 417, 431])
/** Words that tell how we work inside, which is nobody's business. */
const INTERNALS = /node_modules|\bat \S+ \(|prisma|JobWork|\bSQL\b/i

export function createJudge(document: OpenApiDocument): Judge {
  const ajv = new Ajv2020({ strict: false, allErrors: false })
  addFormats.default(ajv)
  ajv.addFormat('binary', true)
  ajv.addSchema(document, 'openapi')
  const validators = new Map<string, ValidateFunction>()

  function validatorOf(pointer: readonly string[]): ValidateFunction {
    const path = pointer.map(escapePointer).join('/')
    const found = validators.get(path) ?? ajv.compile({ $ref: `openapi#/${path}` })
    validators.set(path, found)
    return found
  }

  return ({ method, operation, caller, answer }) => {
    const { status, headers, body } = answer
    const problems: string[] = []
    if (status >= 500 && !isSaidByStatus(operation, status))
      problems.push(`answered with ${status}`)
    if (operation?.needsLogin && NOT_LOGGED_IN.has(caller) && status < 400) {
      problems.push(`served ${caller} with ${status}`)
    }
    const type = headers['content-type']?.split(';', 1)[0]?.trim()
    const text = body.toString()
    if (status >= 400 && method !== 'HEAD') problems.push(...judgeProblem(status, type, text))
    if (operation) problems.push(...judgeDocumented(operation, type, text))
    else if (status >= 400 && !WITHOUT_ROUTE.has(status)) {
      problems.push(`answered with ${status} where there is nothing`)
    }
    return problems

    function judgeDocumented(
      { method: asked, path, answers }: Operation,
      contentType: string | undefined,
      content: string,
    ): string[] {
      // The document does not list HEAD, which a route need not have.
      if (method === 'HEAD' && status === 404) return []
      const types = answers.get(status)
      if (!types) return [`the status ${status} is not documented`]
      if (types.length === 0 || method === 'HEAD') {
        return content === '' ? [] : [`${status} has content, and is to have none`]
      }
      if (contentType === undefined || !types.includes(contentType)) {
        return [`${status} is ${contentType}, and documented as ${types.join(', ')}`]
      }
      if (!contentType.endsWith('json')) return []
      const pointer = ['paths', path, asked.toLowerCase(), 'responses', String(status)]
      const validate = validatorOf([...pointer, 'content', contentType, 'schema'])
      const value = parse(content)
      if (value === undefined) return [`${status} is not JSON`]
      if (validate(value)) return []
      return [`${status} does not match its schema: ${ajv.errorsText(validate.errors)}`]
    }
  }
}

/** Monitors read only the status, and no worker lives here. */
function isSaidByStatus(operation: Operation | undefined, status: number): boolean {
  return operation?.path === '/health/jobs' && status === 503
}

/** An error must be a problem document (RFC 9457), whatever the route. */
function judgeProblem(status: number, type: string | undefined, text: string): string[] {
  if (type !== PROBLEM) return [`${status} is ${type}, and has to be ${PROBLEM}`]
  const document = parse(text)
  if (typeof document !== 'object' || document === null) return [`${status} is not JSON`]
  const { detail, ...rest } = document as { status?: unknown; detail?: unknown }
  const problems =
    rest.status === status ? [] : [`${status} says in its body ${String(rest.status)}`]
  if (typeof detail !== 'string' || detail === '') problems.push(`${status} says no detail`)
  else if (INTERNALS.test(detail)) problems.push(`${status} tells of our inside: ${detail}`)
  return problems
}

/** Judges what came back over a connection on which something other than HTTP was sent. */
export function judgeBytes({ received, isTimedOut }: { received: Buffer; isTimedOut: boolean }) {
  if (isTimedOut) return ['neither answered nor closed']
  // Closing without a word is an answer.
  if (received.length === 0) return []
  const [head = '', body = ''] = received.toString('latin1').split('\r\n\r\n', 2)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  if (!status) return [`answered with ${JSON.stringify(head.slice(0, 80))}`]
  if (status >= 500) return [`answered with ${status}`]
  if (status < 400) return []
  const type = /^content-type: *([^;\r]+)/im.exec(head)?.[1]
  return judgeProblem(status, type, body)
}

function escapePointer(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
