/** A control for one part of a payload, by the job's JSON Schema. */
export interface PayloadField {
  name: string
  kind: 'text' | 'number' | 'boolean' | 'choice' | 'json'
  isRequired: boolean
  hint: string
  /** The values of a choice, as JSON. */
  choices: readonly string[]
  /** What stands in the control at first, as a person would type it. */
  initial: string
}

type Schema = Readonly<Record<string, unknown>>

/** With more fields, people type JSON instead. */
const MAX_FIELDS = 30
const MAX_LEVELS = 5

/** Makes a field for each part of an object. Null where a form would not help; empty when the job takes nothing. */
export function payloadFields(schema: Schema | null): PayloadField[] | null {
  if (schema === null) return null
  const whole = resolve(schema, schema)
  const { properties, required } = whole
  if (whole.type !== 'object' || !isRecord(properties)) return null
  const names = Object.keys(properties)
  if (names.length > MAX_FIELDS) return null
  const needed = new Set(Array.isArray(required) ? required : [])
  return names.map((name) => describeField(name, properties[name], schema, needed.has(name)))
}

/** A field for one part of the schema, with a hint from its description and type. */
function describeField(
  name: string,
  part: unknown,
  root: Schema,
  isRequired: boolean,
): PayloadField {
  const schema = resolve(part, root)
  const { kind, choices, what } = kindOf(schema)
  const said = typeof schema.description === 'string' ? schema.description : ''
  const hint = [said, what, isRequired ? '' : 'may be left empty']
    .filter((text) => text !== '')
    .join(' · ')
  const given = schema.default
  const initial =
    given !== undefined
      ? kind === 'text'
        ? asText(given)
        : JSON.stringify(given)
      : kind === 'json' && isRequired
        ? JSON.stringify(skeletonOf(schema, root), null, 2)
        : ''
  return { name, kind, isRequired, hint, choices, initial }
}

/** Which control fits a part; JSON for what no control can express. */
function kindOf(schema: Schema): Pick<PayloadField, 'kind' | 'choices'> & { what: string } {
  const { format } = schema
  const type = typeOf(schema)
  const values = Array.isArray(schema.enum)
    ? schema.enum
    : 'const' in schema
      ? [schema.const]
      : null
  if (values !== null)
    return { kind: 'choice', choices: values.map((value) => JSON.stringify(value)), what: '' }
  switch (type) {
    case 'string':
      return { kind: 'text', choices: [], what: typeof format === 'string' ? format : '' }
    case 'number':
      return { kind: 'number', choices: [], what: 'a number' }
    case 'integer':
      return { kind: 'number', choices: [], what: 'a whole number' }
    case 'boolean':
      return { kind: 'boolean', choices: ['true', 'false'], what: '' }
    default:
      return { kind: 'json', choices: [], what: 'as JSON' }
  }
}

const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

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

/** What is wrong with what was typed, by the name of the field. */
export type FieldProblems = Readonly<Record<string, string>>

export type ReadPayload = { payload: Record<string, unknown> } | { problems: FieldProblems }

/** Turns what was typed into a payload. Empty fields are left out. */
export function readPayload(
  fields: readonly PayloadField[],
  typed: (name: string) => string,
): ReadPayload {
  const payload: Record<string, unknown> = {}
  const problems: Record<string, string> = {}
  for (const { name, kind, isRequired } of fields) {
    const text = typed(name)
    if (text.trim() === '') {
      if (isRequired) problems[name] = 'Required'
      continue
    }
    const value = readValue(kind, text)
    if (value === undefined)
      problems[name] = kind === 'number' ? 'Has to be a number' : 'Is not JSON'
    else payload[name] = value
  }
  return Object.keys(problems).length > 0 ? { problems } : { payload }
}

/** The value of what was typed; undefined when it is none of this kind. */
function readValue(kind: PayloadField['kind'], text: string): unknown {
  if (kind === 'text') return text
  if (kind === 'number') {
    const number = Number(text)
    return Number.isFinite(number) ? number : undefined
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

const PLACE = 'body.payload'

/** The server's complaints about a payload, by the part that they are about; '' stands for the whole. */
export function payloadProblems(
  issues: readonly { path: string; message: string }[],
): FieldProblems | null {
  const own = issues.filter(({ path }) => path === PLACE || path.startsWith(`${PLACE}.`))
  if (own.length === 0) return null
  const problems: Record<string, string> = {}
  for (const { path, message } of own) {
    const [name = '', ...rest] = path.slice(PLACE.length + 1).split('.')
    problems[name] ??= rest.length === 0 ? message : `${rest.join('.')}: ${message}`
  }
  return problems
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads what was typed as a payload, or says what is wrong with it. An empty text is an empty object. */
export function parsePayload(
  typed: string,
): { payload: Record<string, unknown> } | { problem: string } {
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
