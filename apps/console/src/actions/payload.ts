type Schema = Readonly<Record<string, unknown>>

const MAX_LEVELS = 5

/** Whether a job takes an empty payload alone. */
export function takesNothing(schema: Schema | null): boolean {
  if (schema === null) return false
  const { type, properties } = resolve(schema, schema)
  return type === 'object' && isRecord(properties) && Object.keys(properties).length === 0
}

/** Writes an empty payload of the right shape. */
export function payloadSkeleton(schema: Schema | null): string {
  return JSON.stringify(schema === null ? {} : skeletonOf(schema, schema), null, 2)
}

/** An empty value of the right shape: required parts only, with defaults where the schema has them. */
function skeletonOf(part: unknown, root: Schema, level = 0): unknown {
  const schema = resolve(part, root)
  if (schema.default !== undefined) return schema.default
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0] as unknown
  switch (typeOf(schema)) {
    case 'object': {
      const { properties, required } = schema
      if (!isRecord(properties) || level === MAX_LEVELS) return {}
      const needed = Array.isArray(required) ? required : []
      return Object.fromEntries(
        Object.entries(properties)
          .filter(([name]) => needed.includes(name))
          .map(([name, inner]) => [name, skeletonOf(inner, root, level + 1)]),
      )
    }
    case 'array':
      return []
    case 'string':
      return ''
    case 'number':
    case 'integer':
      return 0
    case 'boolean':
      return false
    default:
      return null
  }
}

/** The type of a part; of one that may also be null, the other type. */
function typeOf({ type }: Schema): unknown {
  if (!Array.isArray(type)) return type
  const others = type.filter((one) => one !== 'null')
  return others.length === 1 ? (others[0] as unknown) : undefined
}

/** Follows references within the schema; of a part that may also be null, it takes the other. */
function resolve(part: unknown, root: Schema): Schema {
  let at = part
  for (let steps = 0; steps < MAX_LEVELS && isRecord(at); steps++) {
    const { $ref: reference, anyOf } = at
    if (typeof reference === 'string' && reference.startsWith('#/')) {
      at = reference
        .slice(2)
        .split('/')
        .reduce<unknown>((inner, key) => (isRecord(inner) ? inner[key] : undefined), root)
    } else if (Array.isArray(anyOf)) {
      const others = anyOf.filter((one) => !(isRecord(one) && one.type === 'null'))
      if (others.length !== 1) return at
      at = others[0] as unknown
    } else return at
  }
  return isRecord(at) ? at : {}
}

const PLACE = 'body.payload'

/** What the server has refused of a payload, each with the part that it is about. Empty: nothing. */
export function payloadProblems(issues: readonly { path: string; message: string }[]): string {
  const own = issues.filter(({ path }) => path === PLACE || path.startsWith(`${PLACE}.`))
  return own
    .map(({ path, message }) => [path.slice(PLACE.length + 1), message].filter(Boolean).join(': '))
    .join('; ')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads what was typed as a payload, or says what is wrong with it. An empty text is an empty object. */
export function parsePayload(
  given: FormDataEntryValue | null,
): { payload: Record<string, unknown> } | { problem: string } {
  const typed = typeof given === 'string' ? given : ''
  if (typed.trim() === '') return { payload: {} }
  try {
    const value: unknown = JSON.parse(typed)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { payload: value as Record<string, unknown> }
    }
    return { problem: 'A payload is an object, such as {"invoiceId": "…"}.' }
  } catch (error) {
    return { problem: `This is not JSON: ${(error as Error).message}` }
  }
}
