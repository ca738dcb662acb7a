import fc from 'fast-check'

/**
 * A value that foreign code may hand over, described in JSON: a generator can shrink and print it, and another process can
 * make it.
 */
export type HostileValue =
  | { is: 'json'; value: unknown }
  | { is: 'odd'; name: OddName }
  | { is: 'object'; entries: [key: string, value: HostileValue][] }
  | { is: 'array'; items: HostileValue[] }
  /** That many levels inside each other. */
  | { is: 'deep'; levels: number; of: 'object' | 'array' }
  /** That many levels, each of which holds the next one twice: written as JSON it would never end. */
  | { is: 'doubled'; levels: number }
  | { is: 'large'; count: number; of: 'text' | 'items' | 'keys' | 'emoji' | 'nul' }

const fail = (): never => {
  throw new Error('foreign code failed')
}

class Invoice {
  #total = 3
  lines = [1n, 2]
  get total() {
    return this.#total
  }
}

const ODD = {
  undefined: () => undefined,
  null: () => null,
  nan: () => Number.NaN,
  infinity: () => Infinity,
  minusInfinity: () => -Infinity,
  minusZero: () => -0,
  bigint: () => 42n,
  largeBigint: () => 2n ** 100n,
  hugeBigint: () => 1n << 400_000n,
  symbol: () => Symbol('foreign'),
  function: () => () => 1,
  class: () => Invoice,
  instance: () => new Invoice(),
  date: () => new Date(0),
  invalidDate: () => new Date(Number.NaN),
  map: () => new Map([['key', 1n]]),
  set: () => new Set([1n]),
  weakMap: () => new WeakMap(),
  buffer: () => Buffer.alloc(100_000, 7),
  floats: () => new Float64Array([Number.NaN, 1.5]),
  regExp: () => /foreign/,
  error: () => new Error('foreign'),
  aggregateError: () => new AggregateError([new Error('one'), null, 3n], 'several'),
  errorThatCausesItself: () => {
    const error = new Error('foreign')
    error.cause = error
    return error
  },
  boxedBigint: () => Object(1n) as unknown,
  boxedText: () => Object('foreign') as unknown,
  noPrototype: () => Object.create(null) as unknown,
  ownPrototype: () => JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2}') as unknown,
  hidesMethods: () => ({ hasOwnProperty: 1, toString: 2, valueOf: 3 }),
  reservedKeys: () => ({ error: 'mine', batches: 'mine', guard: 'mine' }),
  symbolKeys: () => ({ [Symbol('foreign')]: 1, kept: 1 }),
  cycle: () => {
    const cycle: Record<string, unknown> = { kept: 1 }
    cycle.self = [cycle]
    return cycle
  },
  toJsonThrows: () => ({ toJSON: fail }),
  toJsonOfBigint: () => ({ toJSON: () => 7n }),
  toJsonOfItself: () => {
    const value = { toJSON: () => value, kept: 1 }
    return value
  },
  toJsonOfMore: () => {
    const next = (): unknown => ({ toJSON: next, kept: 1 })
    return next()
  },
  toStringThrows: () => ({ toString: fail, valueOf: fail, [Symbol.toPrimitive]: fail }),
  getterThrows: () => ({
    kept: 1,
    get broken() {
      return fail()
    },
  }),
  getterThatChanges: () => {
    let reads = 0
    return {
      get changing() {
        return reads++ === 0 ? 1 : 1n
      },
    }
  },
  errorWhoseMessageThrows: () =>
    Object.defineProperties(new Error('hidden'), {
      message: { get: fail },
      code: { get: fail },
      stack: { get: fail },
      cause: { get: fail },
    }),
  errorOfOddParts: () =>
    Object.assign(new Error('hidden'), {
      message: 1n,
      code: Symbol('code'),
      stack: {},
      name: null,
    }),
  proxyThatThrows: () =>
    new Proxy(
      {},
      {
        get: fail,
        has: fail,
        ownKeys: fail,
        getPrototypeOf: fail,
        getOwnPropertyDescriptor: fail,
      },
    ),
  proxyOfItself: () => {
    const proxy: object = new Proxy({}, { get: () => proxy, getPrototypeOf: () => null })
    return proxy
  },
  revokedProxy: () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  revokedArray: () => {
    const { proxy, revoke } = Proxy.revocable([], {})
    revoke()
    return proxy
  },
  promise: () => Promise.resolve(1),
  thenableThatThrows: () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- what is to be tried
    then: fail,
  }),
  thenableThatThrowsLate: () => ({
    // oxlint-disable-next-line unicorn/no-thenable -- what is to be tried
    get then() {
      return fail()
    },
  }),
  sparse: () => {
    const sparse: unknown[] = []
    sparse[5_000_000] = 1
    return sparse
  },
  emptyOfGreatLength: () => ({ length: 2 ** 53 - 1 }),
  arrayOfGreatLength: () => {
    const list: unknown[] = []
    list.length = 4_294_967_000
    return list
  },
  frozen: () => Object.freeze({ kept: Object.freeze([1]) }),
} as const satisfies Record<string, () => unknown>

export type OddName = keyof typeof ODD
export const ODD_NAMES = Object.keys(ODD) as OddName[]

/** Makes the value, a new one at each call. */
export function makeHostile(value: HostileValue): unknown {
  switch (value.is) {
    case 'json':
      // A copy: what receives it may write into it, and the drawn value must stay as it was.
      return structuredClone(value.value)
    case 'odd':
      return ODD[value.name]()
    case 'object': {
      const made = {}
      for (const [key, of] of value.entries) {
        // A key may be `__proto__`, which an assignment would take for something else.
        Object.defineProperty(made, key, {
          value: makeHostile(of),
          enumerable: true,
          configurable: true,
          writable: true,
        })
      }
      return made
    }
    case 'array':
      return value.items.map(makeHostile)
    case 'deep':
      return nest(value.levels, (inner) => (value.of === 'array' ? [inner] : { inner }))
    case 'doubled':
      return nest(value.levels, (inner) => ({ left: inner, right: inner }))
    case 'large':
      return makeLarge(value)
    default:
      return value satisfies never
  }
}

function nest(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let made: unknown = 1
  for (let level = 0; level < levels; level++) made = wrap(made)
  return made
}

function makeLarge({ count, of }: HostileValue & { is: 'large' }): unknown {
  switch (of) {
    case 'text':
      return 'x'.repeat(count)
    case 'emoji':
      // One unit more in front, so that a cut at an even length goes through a pair.
      return `x${'👍'.repeat(count / 2)}`
    case 'nul':
      return '\0'.repeat(count)
    case 'items':
      return Array.from({ length: count }, (_, at) => at)
    case 'keys':
      // Objects of many keys take the longest to make.
      return Object.fromEntries(
        Array.from({ length: Math.ceil(count / 20) }, (_, at) => [`key${at}`, at]),
      )
    default:
      return of satisfies never
  }
}

const SURROGATES = { from: 0xd800, count: 0x800 }

/**
 * Any character but lone surrogates. fast-check's own `unit: 'binary'` draws the same, but first puts a million of them
 * into a table.
 */
export function anyCharacter(): fc.Arbitrary<string> {
  return fc.nat(0x10ffff - SURROGATES.count).map(
    (at) => String.fromCodePoint(at < SURROGATES.from ? at : at + SURROGATES.count),
    (text) => {
      const [character = '', ...others] = String(text)
      if (others.length > 0 || !character.isWellFormed()) throw new Error('Not one character')
      const at = character.codePointAt(0) ?? Number.NaN
      return at < SURROGATES.from ? at : at - SURROGATES.count
    },
  )
}

/** Texts that PostgreSQL, JSON or a regular expression may choke on. */
export function hostileText(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.string({ unit: anyCharacter(), maxLength: 20 }) },
    {
      weight: 4,
      arbitrary: fc
        .array(
          fc.constantFrom(
            '\0',
            '\ud83d',
            '\udc4d',
            '👍',
            '\u2028',
            '"',
            '\\',
            '\\u0000',
            "'",
            '$1',
            '[redacted]',
            'reda',
            'cted',
            'https://user:word@host/',
            'Bearer abcdef',
            '\n\n',
            'word',
            ' ',
          ),
          { maxLength: 12 },
        )
        .map((parts) => parts.join('')),
    },
    fc.constantFrom('__proto__', 'error', 'batches', 'toJSON', 'then', 'constructor', 'length', ''),
    fc
      .record({ part: fc.constantFrom('x', 'x ', '👍', '\0', 'a://'), times: fc.nat(20_000) })
      .map(({ part, times }) => part.repeat(times)),
  )
}

export interface HostileValuesOptions {
  /** The size of one text, list or object. Default 300,000. */
  maxCount?: number
  /** Default 20,000. */
  maxLevels?: number
}

/** Any value of any kind, also nested. Small ones are the most frequent. */
export function hostileValue({
  maxCount = 300_000,
  maxLevels = 20_000,
}: HostileValuesOptions = {}): fc.Arbitrary<HostileValue> {
  const json = fc.jsonValue({ maxDepth: 2 }).map((value): HostileValue => ({ is: 'json', value }))
  const text = hostileText().map((value): HostileValue => ({ is: 'json', value }))
  const odd = fc.constantFrom(...ODD_NAMES).map((name): HostileValue => ({ is: 'odd', name }))
  const deep = fc.record({
    is: fc.constant('deep' as const),
    levels: fc.nat(maxLevels),
    of: fc.constantFrom('object' as const, 'array' as const),
  })
  const doubled = fc.record({ is: fc.constant('doubled' as const), levels: fc.nat(60) })
  const large = fc.record({
    is: fc.constant('large' as const),
    count: fc.nat(maxCount),
    of: fc.constantFrom('text', 'items', 'keys', 'emoji', 'nul'),
  }) as fc.Arbitrary<HostileValue>
  const leaf: fc.Arbitrary<HostileValue> = fc.oneof(
    { weight: 3, arbitrary: json },
    { weight: 6, arbitrary: odd },
    { weight: 2, arbitrary: text },
    { weight: 1, arbitrary: fc.oneof(deep, doubled, large) },
  )
  return fc.letrec<{ value: HostileValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      { weight: 3, arbitrary: leaf },
      {
        weight: 2,
        arbitrary: fc
          .array(fc.tuple(hostileText(), tie('value')), { maxLength: 5 })
          .map((entries): HostileValue => ({ is: 'object', entries })),
      },
      {
        weight: 1,
        arbitrary: fc
          .array(tie('value'), { maxLength: 5 })
          .map((items): HostileValue => ({ is: 'array', items })),
      },
    ),
  })).value
}
