import {
  context,
  defaultTextMapSetter,
  SpanKind,
  SpanStatusCode,
  trace,
  type TextMapPropagator,
  type Tracer,
} from '@opentelemetry/api'
import type { TraceContext, TraceEnqueue } from '@roundsman/engine'
import { errorType } from './errorType.ts'
import { messagingAttributes } from './messagingAttributes.ts'

/** Makes a producer's span around enqueueing. Its context travels with the work. */
export function traceEnqueue(tracer: Tracer, propagator: TextMapPropagator): TraceEnqueue {
  return async ({ name, count }, put) => {
    const span = tracer.startSpan(`send ${name}`, {
      kind: SpanKind.PRODUCER,
      attributes: {
        ...messagingAttributes('send', name),
        ...(count > 1 && { 'messaging.batch.message_count': count }),
      },
    })
    const within = trace.setSpan(context.active(), span)
    const carrier: Partial<TraceContext> = {}
    propagator.inject(within, carrier, defaultTextMapSetter)
    const { traceparent, tracestate } = carrier
    try {
      return await context.with(within, () =>
        put(
          traceparent === undefined
            ? undefined
            : { traceparent, ...(tracestate && { tracestate }) },
        ),
      )
    } catch (error) {
      span.setAttribute('error.type', errorType(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  }
}
