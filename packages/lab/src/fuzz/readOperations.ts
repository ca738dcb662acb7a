/** The part of JSON Schema (2020-12) from which requests are made. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
}

interface Described {
  summary: string
  security?: object[]
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>
}

export interface OpenApiDocument {
  openapi: string
  paths: Record<string, Record<string, Described>>
}

export interface Parameter {
  name: string
  isRequired: boolean
  schema: Schema
}

export interface Operation {
  /** Such as `POST /api/invoices/{id}/pdf`. */
  id: string
  method: string
  path: string
  params: Parameter[]
  query: Parameter[]
  body: { isRequired: boolean; schema: Schema } | null
  needsLogin: boolean
  /** The content types of its answers, by status. Empty when the answer has no content. */
  answers: ReadonlyMap<number, readonly string[]>
  /** Matches an address without its query. As for the router, a parameter may be empty. */
  pattern: RegExp
}

/** Lists the operations of the document. */
export function readOperations(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) =>
      readOperation(path, method.toUpperCase(), described),
    ),
  )
}

function readOperation(path: string, method: string, described: Described): Operation {
  const parameters = (place: string): Parameter[] =>
    (described.parameters ?? [])
      .filter((parameter) => parameter.in === place)
      .map(({ name, required = false, schema }) => ({ name, isRequired: required, schema }))
  const body = described.requestBody
  const schema = body?.content['application/json']?.schema
  return {
    id: `${method} ${path}`,
    method,
    path,
    params: parameters('path'),
    query: parameters('query'),
    body: schema ? { schema, isRequired: body?.required ?? false } : null,
    needsLogin: described.security !== undefined,
    answers: new Map(
      Object.entries(described.responses).map(([status, { content }]) => [
        Number(status),
        Object.keys(content ?? {}),
      ]),
    ),
    pattern: new RegExp(
      `^${path.replaceAll('.', String.raw`\.`).replaceAll(/\{\w+\}/g, '([^/]*)')}$`,
    ),
  }
}

/** Finds the operation of a request, the most literal path first, as a router does. Undefined when there is none. */
export function findOperation(
  operations: readonly Operation[],
  { method, target }: { method: string; target: string },
): Operation | undefined {
  const [path = ''] = target.split('?', 1)
  // HEAD is GET without the content.
  const asked = method === 'HEAD' ? 'GET' : method
  return operations
    .filter((operation) => operation.method === asked && operation.pattern.test(path))
    .toSorted((one, other) => one.params.length - other.params.length)[0]
}
