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
import type { TraceContext } from '@roundsman/engine'
import { messagingAttributes } from './messagingAttributes.ts'

export interface TracedRun {
  id: string
  name: string
  attempt: number
  trigger: string
  scheduledFor: Date | null
  dryRun: boolean
  workId: string | null
  trace: TraceContext | null
}

export interface RunTrace {
  logFields: { traceId: string }
  within<Result>(work: () => Promise<Result>): Promise<Result>
  withinStep<Result>(step: { name: string }, work: () => Promise<Result>): Promise<Result>
  ended(end: { kind: 'success' | 'failed' | 'lost' | 'suspended'; code?: string }): void
}

/**
 * Makes a consumer's span for a run, until its end is committed: by the conventions for single messages a child of the span
 * that enqueued the work, and linked to it, at each attempt. A run that a schedule started begins a trace.
 */
export function traceRun(tracer: Tracer, propagator: TextMapPropagator, run: TracedRun): RunTrace {
  const origin = run.trace
    ? propagator.extract(ROOT_CONTEXT, run.trace, defaultTextMapGetter)
    : ROOT_CONTEXT
  const enqueued = trace.getSpanContext(origin)
  const span = tracer.startSpan(
    `process ${run.name}`,
    {
      kind: SpanKind.CONSUMER,
      attributes: {
        ...messagingAttributes('process', run.name),
        ...(run.workId !== null && { 'messaging.message.id': run.workId }),
        'roundsman.run.id': run.id,
        'roundsman.run.attempt': run.attempt,
        'roundsman.run.trigger': run.trigger,
        'roundsman.run.dry_run': run.dryRun,
        ...(run.scheduledFor && { 'roundsman.run.scheduled_for': run.scheduledFor.toISOString() }),
      },
      links: enqueued ? [{ context: enqueued }] : [],
    },
    origin,
  )
  const within = trace.setSpan(origin, span)
  return {
    logFields: { traceId: span.spanContext().traceId },
    within: (work) => context.with(within, work),
    async withinStep({ name }, work) {
      const step = tracer.startSpan(`step ${name}`, {}, within)
      try {
        return await context.with(trace.setSpan(within, step), work)
      } catch (error) {
        step.setStatus({ code: SpanStatusCode.ERROR })
        throw error
      } finally {
        step.end()
      }
    },
    ended({ kind, code }) {
      if (kind === 'failed' || kind === 'lost') {
        span.setAttribute('error.type', code ?? 'run_lost')
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end()
    },
  }
}
