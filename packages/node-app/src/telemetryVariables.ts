import { z } from 'zod'
import { secretVariable } from './environment.ts'

/** Who may read the metrics, and where spans go. The names that start with OTEL_ are OpenTelemetry's own. */
export const telemetryVariables = {
  /** The bearer token that GET /metrics demands. */
  METRICS_TOKEN: secretVariable({ minLength: 16, remedy: 'make one with: openssl rand -hex 16' })
    .regex(/^[\x21-\x7e]*$/, 'has characters that a header can not carry; use letters and digits')
    .optional(),
  /** The base address of an OTLP/HTTP receiver. Default: nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .optional()
    .refine((text) => text === undefined || /^https?:$/.test(URL.parse(text)?.protocol ?? ''), {
      error:
        'is not the address of an OTLP/HTTP receiver; set one such as http://127.0.0.1:4318, or leave it out and nothing is traced',
    }),
  /** The service name on spans. Default: the application's, such as roundsman-api. */
  OTEL_SERVICE_NAME: z.string().optional(),
  /** The share of the traces beginning here that is kept, from 0 to 1. Default 1. */
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

/** The variables under the names that startTracing takes. */
export function tracingOptions(env: z.infer<z.ZodObject<typeof telemetryVariables>>) {
  return {
    serviceName: env.OTEL_SERVICE_NAME,
    endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    sampleShare: env.OTEL_TRACES_SAMPLER_ARG,
  }
}
