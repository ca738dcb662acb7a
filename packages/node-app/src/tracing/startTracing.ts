import type { Tracing, TracingOptions } from './openTracing.ts'

/**
 * Traces into an OTLP/HTTP receiver, or returns null when none is set: then nothing of OpenTelemetry is loaded, and tracing
 * costs nothing.
 */
export async function startTracing({
  endpoint,
  ...options
}: Omit<TracingOptions, 'endpoint'> & { endpoint: string | undefined }): Promise<Tracing | null> {
  if (endpoint === undefined) return null
  const { openTracing } = await import('./openTracing.ts')
  return openTracing({ ...options, endpoint })
}
