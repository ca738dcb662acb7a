import type { Tracing, TracingOptions } from './openTracing.ts'

/**
 * Traces into an OTLP/HTTP receiver, or null when there is none: then nothing of OpenTelemetry is loaded, and
 * nobody who asks for a trace pays for one.
 */
export async function startTracing({
  endpoint,
  ...options
}: Omit<TracingOptions, 'endpoint'> & { endpoint: string | undefined }): Promise<Tracing | null> {
  if (endpoint === undefined) return null
  const { openTracing } = await import('./openTracing.ts')
  return openTracing({ ...options, endpoint })
}
