import {
  context,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type TextMapPropagator,
  type Tracer,
} from '@opentelemetry/api'

export interface RequestTrace {
  traceId: string
  /** Makes whatever `work` calls, at once or later, part of the request's trace. */
  within<Result>(work: () => Result): Result
  ended(answer: { route: string | undefined; statusCode: number }): void
}

/**
 * Makes a server's span for a request, as a child of the caller's when the headers name one. It records neither address nor
 * caller: an address may carry a token.
 */
export function traceRequest(
  tracer: Tracer,
  propagator: TextMapPropagator,
  method: string,
  headers: Record<string, unknown>,
): RequestTrace {
  const caller = propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter)
  const span = tracer.startSpan(
    method,
    { kind: SpanKind.SERVER, attributes: { 'http.request.method': method } },
    caller,
  )
  const within = trace.setSpan(caller, span)
  return {
    traceId: span.spanContext().traceId,
    within: (work) => context.with(within, work),
    ended({ route, statusCode }) {
      if (route !== undefined) {
        span.updateName(`${method} ${route}`)
        span.setAttribute('http.route', route)
      }
      span.setAttribute('http.response.status_code', statusCode)
      if (statusCode >= 500) {
        span.setAttribute('error.type', String(statusCode))
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end()
    },
  }
}
