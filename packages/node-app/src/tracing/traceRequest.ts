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
  /** Whatever is called in here, at once or later, is part of the request. */
  within<Result>(work: () => Result): Result
  ended(answer: { route: string | undefined; statusCode: number }): void
}

/**
 * A server's span for a request, a child of the caller's where its headers name one. It says neither the address
 * nor the caller: an address may carry a token.
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
