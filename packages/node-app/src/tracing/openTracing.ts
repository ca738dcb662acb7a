import { setTimeout as delay } from 'node:timers/promises'
import { context, diag, DiagLogLevel, propagation, trace, type Tracer } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { TraceEnqueue } from '@roundsman/engine'
import { traceDatabase, type TracedClient } from './traceDatabase.ts'
import { traceEnqueue } from './traceEnqueue.ts'
import { traceRequest, type RequestTrace } from './traceRequest.ts'
import { traceRun, type RunTrace, type TracedRun } from './traceRun.ts'

export interface TracingOptions {
  /** The process that makes the spans: `api` or `worker`. */
  app: string
  version: string
  /** Default: `roundsman-` and the app. */
  serviceName?: string | undefined
  /** The base address of an OTLP/HTTP receiver. */
  endpoint: string
  /** The share of the traces beginning here that is kept, from 0 to 1. Other traces follow their caller's choice. */
  sampleShare: number
  /** How long spans are collected before they are sent. Default 1,000 ms. */
  intervalMs?: number
  /** How long the receiver may take to accept a batch. Default 5,000 ms. */
  exportTimeoutMs?: number
  /** Called with the reason when spans were not accepted, at most once a minute. */
  onProblem: (reason: string) => void
}

export interface Tracing {
  /** Begins the span of a request. */
  traceRequest(method: string, headers: Record<string, unknown>): RequestTrace
  traceEnqueue: TraceEnqueue
  traceRun(run: TracedRun): RunTrace
  /** Makes a span of each statement on this connection while a trace is under way. */
  traceDatabase(client: TracedClient): void
  /** Sends what was collected, and gives up after `timeoutMs`. Default 2,000 ms. */
  close(options?: { timeoutMs?: number }): Promise<void>
}

const SAY_AGAIN_MS = 60_000

export function openTracing(options: TracingOptions): Tracing {
  const {
    app,
    serviceName,
    version,
    endpoint,
    sampleShare,
    intervalMs = 1_000,
    exportTimeoutMs = 5_000,
    onProblem,
  } = options
  reportProblems(onProblem)
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'roundsman',
      'service.name': serviceName ?? `roundsman-${app}`,
      'service.version': version,
      'process.pid': process.pid,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleShare) }),
    spanProcessors: [
      new BatchSpanProcessor({
        // Its queue is bounded: spans that the receiver does not take in time are dropped.
        exporter: new OTLPTraceExporter({
          url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
          timeoutMillis: exportTimeoutMs,
        }),
        scheduledDelayMillis: intervalMs,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  })
  const propagator = new W3CTraceContextPropagator()
  // Registered globally, so that a handler can make spans of its own with @opentelemetry/api alone.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(propagator)
  trace.setGlobalTracerProvider(provider)
  const tracer: Tracer = provider.getTracer('roundsman', version)

  return {
    traceRequest: (method, headers) => traceRequest(tracer, propagator, method, headers),
    traceEnqueue: traceEnqueue(tracer, propagator),
    traceRun: (run) => traceRun(tracer, propagator, run),
    traceDatabase: (client) => traceDatabase(tracer, client),
    async close({ timeoutMs = 2_000 } = {}) {
      const waiting = new AbortController()
      const late = delay(timeoutMs, undefined, { signal: waiting.signal }).catch(() => undefined)
      await Promise.race([provider.shutdown().catch(() => undefined), late])
      waiting.abort()
      trace.disable()
      propagation.disable()
      context.disable()
    },
  }
}

/** Passes OpenTelemetry's own complaints on, seldom: an exporter that reaches nobody complains at each attempt. */
function reportProblems(onProblem: (reason: string) => void): void {
  let saidAt: number | undefined
  const report = (message: string) => {
    if (saidAt !== undefined && performance.now() - saidAt < SAY_AGAIN_MS) return
    saidAt = performance.now()
    onProblem(reasonOf(message))
  }
  const nothing = () => undefined
  diag.setLogger(
    { error: report, warn: report, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}

/** The library passes an error as JSON that includes its stack. */
function reasonOf(message: string): string {
  try {
    const { message: reason, code, name } = JSON.parse(message) as Record<string, unknown>
    return [reason, code, name].filter((part) => typeof part === 'string' && part !== '').join(' ')
  } catch {
    return message.split('\n')[0] ?? message
  }
}
