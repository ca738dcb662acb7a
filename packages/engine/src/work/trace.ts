/** Where in a trace something happens, in the words of W3C Trace Context. */
export interface TraceContext {
  traceparent: string
  tracestate?: string
}

/**
 * Surrounds the moment at which work is put into the queue, for tracing. What it hands to `put` travels with the
 * work, and each run of that is told of it. It must call `put` once, and return what that returns.
 */
export type TraceEnqueue = <Result>(
  work: { name: string; count: number },
  put: (trace: TraceContext | undefined) => Promise<Result>,
) => Promise<Result>
