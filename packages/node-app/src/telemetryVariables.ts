import { z } from 'zod'

/** Who may read the metrics, and where spans go. The names that start with OTEL_ are OpenTelemetry's own. */
export const telemetryVariables = {
  /** What has to come as a bearer token with GET /metrics. */
  METRICS_TOKEN: z
    .string()
    // The value is not repeated, of course.
    .min(16, 'has fewer than 16 characters; make one with: openssl rand -hex 16')
    .regex(/^[\x21-\x7e]*$/, 'has characters that a header can not carry; use letters and digits')
    .optional(),
  /** An OTLP/HTTP receiver. Default: nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .optional()
    .refine((text) => text === undefined || /^https?:$/.test(URL.parse(text)?.protocol ?? ''), {
      error:
        'is not the address of an OTLP/HTTP receiver; set one such as http://127.0.0.1:4318, or leave it out and nothing is traced',
    }),
  /** By which name its spans go. Default: that of the application, such as roundsman-api. */
  OTEL_SERVICE_NAME: z.string().optional(),
  /** Which part of the traces that begin here is kept, from 0 to 1. */
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return 1
      const share = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
      if (share <= 1) return share
      context.addIssue(
        `${JSON.stringify(text)} is not a share; set a number from 0 to 1, or leave it out for 1`,
      )
      return z.NEVER
    }),
}

/** What they say of traces, in the words of whoever takes them. */
export function tracingOptions(env: z.infer<z.ZodObject<typeof telemetryVariables>>) {
  return {
    serviceName: env.OTEL_SERVICE_NAME,
    endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    sampleShare: env.OTEL_TRACES_SAMPLER_ARG,
  }
}
