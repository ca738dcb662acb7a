import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type Tracer,
} from '@opentelemetry/api'

import { errorType } from './errorType.ts'

/** The part of a node-postgres client that tracing uses. */
export interface TracedClient {
  // oxlint-disable-next-line typescript/no-explicit-any -- it has a dozen signatures, and they are passed through
  query: (...args: any[]) => any
}

/** The statements of one request or run that get a span. A clean-up has thousands of batches, all like the first ones. */
const MAX_STATEMENTS = 100
const MAX_TEXT_LENGTH = 1_000

/** How many statements of each request or run have a span. */
const counts = new WeakMap<Span, number>()

/**
 * Gives each statement on the connection a span while a request or run is traced. The span has no parameter values, which
 * the driver sends apart from the text.
 */
export function traceDatabase(tracer: Tracer, client: TracedClient): void {
  const query = client.query
  client.query = function traced(this: unknown, ...args: unknown[]): unknown {
    const parent = trace.getSpan(context.active())
    const text = textOf(args[0])
    const run = () => query.apply(client, args) as unknown
    if (!parent?.isRecording() || text === undefined) return run()
    const count = (counts.get(parent) ?? 0) + 1
    if (count > MAX_STATEMENTS) return run()
    counts.set(parent, count)
    const operation = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? 'QUERY'
    const span = tracer.startSpan(operation, {
      kind: SpanKind.CLIENT,
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': operation,
        'db.query.text': text.slice(0, MAX_TEXT_LENGTH),
      },
    })
    const result = run()
    if (!isPromise(result)) {
      // A call with a callback returns nothing to wait for.
      span.end()
      return result
    }
    return result.then(
      (value) => {
        span.end()
        return value
      },
      (error: unknown) => {
        span.setAttribute('error.type', errorType(error))
        span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
        throw error
      },
    )
  }
}

function textOf(statement: unknown): string | undefined {
  if (typeof statement === 'string') return statement
  const { text } = (statement ?? {}) as { text?: unknown }
  return typeof text === 'string' ? text : undefined
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function'
}
