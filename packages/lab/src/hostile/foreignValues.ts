import fc from 'fast-check'
import { hostileText, hostileValue, makeHostile } from '@roundsman/testing/hostileValues'
import { JobError } from '@roundsman/engine'

/** Makes a new value at each call: fast-check looks into the values that it draws. */
export type Make = () => unknown

/** Whatever a handler may return or hand over, except large values. */
export function foreignValues(): fc.Arbitrary<Make> {
  return hostileValue(SMALL).map((value) => () => makeHostile(value))
}

/** Whatever may be thrown. */
export function foreignErrors(): fc.Arbitrary<Make> {
  const message = hostileText()
  return fc.oneof(
    { arbitrary: message.map((text) => () => new Error(text)), weight: 5 },
    {
      arbitrary: fc.tuple(message, message, foreignValues(), fc.boolean()).map(
        ([code, text, details, retryable]) =>
          () =>
            new JobError(code, text, { retryable, details: details() as never, cause: details() }),
      ),
      weight: 3,
    },
    {
      arbitrary: fc.tuple(message, foreignValues()).map(
        ([text, cause]) =>
          () =>
            new TypeError(text, { cause: cause() }),
      ),
      weight: 2,
    },
    { arbitrary: fc.constantFrom<Make>(...ODD_ERRORS), weight: 6 },
    { arbitrary: foreignValues(), weight: 3 },
  )
}

/** Most values must be cheap, so that many can be drawn. */
export const SMALL = { maxCount: 20_000, maxLevels: 2_000 }

const refuse = (): never => {
  throw new Error('no business of yours')
}

/** An object each of whose properties is the object itself. */
function endlessProxy(): object {
  const proxy: object = new Proxy(
    {},
    {
      get: (_, key) => (typeof key === 'string' && key !== 'toJSON' ? proxy : undefined),
      ownKeys: () => ['again'],
      getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: proxy }),
    },
  )
  return proxy
}

function errorWith(properties: Record<string, unknown>): Error {
  const error = new Error('plain')
  for (const [key, value] of Object.entries(properties)) {
    const descriptor = value === refuse ? { get: refuse } : { value }
    Object.defineProperty(error, key, { configurable: true, enumerable: true, ...descriptor })
  }
  return error
}

function causes(depth: number): Error {
  let error = new Error('first')
  for (let index = 0; index < depth; index++) error = new Error(`then ${index}`, { cause: error })
  return error
}

function cyclicCauses(): Error {
  const one = new Error('one')
  const other = new Error('other', { cause: one })
  one.cause = other
  return one
}

/** Beside those that are drawn as any value may be: of errors whose parts are odd one by one, endless, or long. */
const ODD_ERRORS: readonly (() => unknown)[] = [
  () => refuse,
  () => endlessProxy(),
  () => Object.create(Error.prototype) as unknown,
  ...['message', 'stack', 'name', 'cause', 'code'].map(
    (part) => () => errorWith({ [part]: refuse }),
  ),
  () => errorWith({ message: 5n }),
  () => errorWith({ message: Symbol('message') }),
  () => errorWith({ message: makeHostile({ is: 'odd', name: 'cycle' }), stack: 5 }),
  () => errorWith({ code: 'x'.repeat(100_000) }),
  () => errorWith({ stack: 'at \0'.repeat(10_000) }),
  () => new Error('w'.repeat(80_000)),
  () => new Error('x'.repeat(5_000_000)),
  () => new Error('\0\ud800'.repeat(1_000)),
  () => new Error(`${'x'.repeat(499)}\u{1f600}`),
  () => cyclicCauses(),
  () => causes(10_000),
  () => new AggregateError([null, cyclicCauses(), 5n], 'many'),
  () => new AggregateError(Array.from({ length: 10_000 }, (_, index) => new Error(`${index}`))),
  () => new DOMException('stopped', 'AbortError'),
  () => Object.freeze(new Error('frozen')),
  () => new Proxy(new Error('hidden'), { get: refuse }),
  () => new Proxy(new JobError('hidden', 'hidden'), { getPrototypeOf: refuse }),
  () =>
    Object.assign(new JobError('odd', 'odd'), {
      details: makeHostile({ is: 'odd', name: 'proxyThatThrows' }),
    }),
  () => Object.assign(new JobError('odd', 'odd'), { details: null, retryable: 'perhaps' }),
  () => Object.assign(new JobError('odd', 'odd'), { code: null, message: undefined }),
  () => new JobError('\0', '\0\ud800', { details: { '\0': '\ud800' } }),
  () => new JobError('drained', 'not by the worker'),
  () => new JobError('worker_lost', 'nor this'),
]
