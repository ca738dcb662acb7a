import fc from 'fast-check'
import type { Random } from '../createRandom.ts'
import type { Schema } from './readOperations.ts'

/** Longer strings and lists find no more, except those of the greatest length allowed. */
const USUAL_LENGTH = 40
const USUAL_ITEMS = 3
const USUAL_NUMBER = 1_000_000

const known = new WeakMap<Schema, fc.Arbitrary<unknown>>()

/**
 * Makes a generator of values that a schema allows. fast-check has the parts, which favour edge cases; the ready-made
 * translations of JSON Schema support neither version 2020-12 nor fast-check 4.
 */
export function arbitraryOf(schema: Schema): fc.Arbitrary<unknown> {
  const found = known.get(schema) ?? makeArbitrary(schema)
  known.set(schema, found)
  return found
}

/** Draws one value, the same for the same state of `random`. */
export function draw<Value>(arbitrary: fc.Arbitrary<Value>, random: Random): Value {
  const seed = random.integer(-0x8000_0000, 0x7fff_ffff)
  // Half of the values are drawn without the preference for edges: a request of edges alone is seldom accepted.
  const chosen = random.chance(0.5) ? arbitrary : fc.noBias(arbitrary)
  const [value] = fc.sample(chosen, { seed, numRuns: 1 })
  return value as Value
}

function makeArbitrary(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) throw new Error(`A request refers to ${schema.$ref}`)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if ('const' in schema) return fc.constant(schema.const)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return fc.oneof(...choices.map(arbitraryOf))
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type) => makeArbitrary({ ...schema, type })))
  }
  const { minimum: min = -USUAL_NUMBER, maximum: max = USUAL_NUMBER } = schema
  const { items = {}, minItems = 0, maxItems = USUAL_ITEMS } = schema
  switch (schema.type) {
    case 'string':
      return makeString(schema)
    case 'integer':
      return oftenOr(
        fc.integer({ min: Math.max(min, -USUAL_NUMBER), max: Math.min(max, USUAL_NUMBER) }),
        fc.constantFrom(min, max),
      )
    case 'number':
      return fc.double({ noNaN: true, min, max })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(arbitraryOf(items), {
        minLength: minItems,
        maxLength: Math.min(maxItems, minItems + USUAL_ITEMS),
      })
    case 'object':
      return makeObject(schema)
    case undefined:
      return fc.jsonValue()
    default:
      throw new Error(`A request takes the type ${schema.type}, which is not known here`)
  }
}

function makeString(schema: Schema): fc.Arbitrary<string> {
  const { format, pattern, minLength = 0, maxLength = Infinity } = schema
  const expression = pattern === undefined ? null : new RegExp(pattern)
  const isFitting = (text: string) =>
    text.length <= maxLength && (expression === null || expression.test(text))
  switch (format) {
    case 'uuid':
      return fc.uuid()
    case 'date':
      return makeDate('1900-01-01', '2999-12-31').map((at) => at.slice(0, 10))
    case 'date-time':
      return fc.oneof(
        makeDate('2026-01-01', '2027-12-31'),
        makeDate('0001-01-02T00:00:00Z', '9999-12-30T23:59:59.999Z'),
        fc.constantFrom(
          '2026-03-29T02:30:00+01:00',
          '1970-01-01T00:00:00Z',
          '2028-02-29T23:59:59.999999999-12:00',
        ),
      )
    case 'email':
      return fc.emailAddress().filter(isFitting)
    default:
  }
  if (expression) return fc.stringMatching(expression).filter(isFitting)
  const usual = fc.string({
    unit: 'grapheme',
    minLength,
    maxLength: Math.max(minLength, Math.min(maxLength, USUAL_LENGTH)),
  })
  const fitting = usual.filter(isFitting)
  if (maxLength === Infinity) return fitting
  return oftenOr(fitting, fc.constantFrom('x'.repeat(maxLength), 'x'.repeat(minLength)))
}

function oftenOr<Value>(usual: fc.Arbitrary<Value>, limits: fc.Arbitrary<Value>) {
  return fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: limits })
}

function makeDate(min: string, max: string): fc.Arbitrary<string> {
  return fc
    .date({ min: new Date(min), max: new Date(max), noInvalidDate: true })
    .map((date) => date.toISOString())
}

function makeObject({ properties, required = [], additionalProperties }: Schema) {
  if (!properties) {
    const value = typeof additionalProperties === 'object' ? additionalProperties : {}
    return fc.dictionary(fc.string(), arbitraryOf(value), { maxKeys: USUAL_ITEMS })
  }
  const arbitraries = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, arbitraryOf(schema)]),
  )
  return fc.record(arbitraries, { requiredKeys: required })
}
