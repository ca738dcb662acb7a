import { alertVariables } from '@roundsman/alerts'
import {
  commonVariables,
  databaseRequiredInProduction,
  integerVariable,
  readEnvironment,
  secretVariable,
  switchVariable,
  telemetryVariables,
} from '@roundsman/node-app'
import { z } from 'zod'
import { JWT_SECRET_LENGTH, obtainJwtSecret } from './auth/obtainJwtSecret.ts'

const MAKE_A_SECRET = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

const isAddressOfTraces = (text: string) =>
  text.includes('{traceId}') && /^https?:$/.test(URL.parse(text)?.protocol ?? '')

const variables = {
  ...commonVariables,
  ...telemetryVariables,
  ...alertVariables,
  /** Where the API listens. 0 picks a free one. */
  PORT: integerVariable({ min: 0, max: 65_535, default: 3_000 }),
  /** Default: only this machine; in production, every interface. */
  HOST: z.string().optional(),
  /** Signs the tokens. Default: a secret that the API makes once and keeps in DATA_DIR. Production has to set it. */
  JWT_SECRET: secretVariable({ minLength: JWT_SECRET_LENGTH, remedy: MAKE_A_SECRET }).optional(),
  /** The domain in the Message-IDs of our e-mails. Default: that of buildApp. */
  MAIL_DOMAIN: z
    .string()
    .max(253)
    .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i, {
      error: 'has to be a domain, such as example.com',
    })
    .optional(),
  /** Where people see a trace, with `{traceId}` for its id. Default: the console links to none. */
  TRACE_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || isAddressOfTraces(text), {
      error:
        'is not the address of a trace; set one such as https://jaeger.example.com/trace/{traceId}',
    }),
  /** A supervisor sets it that holds our standard input open. The API stops when that input ends. */
  ROUNDSMAN_SUPERVISED: switchVariable({ default: false }),
  /** A supervisor sets it that tells us on standard input when to begin: see awaitRelease. */
  ROUNDSMAN_HELD: switchVariable({ default: false }),
  /**
   * `pnpm start` and `pnpm dev` set it: the demo's jobs are offered if the database has them. Ignored in production.
   */
  ROUNDSMAN_DEMO: switchVariable({ default: false }),
}

export type ApiEnvironment = ReturnType<typeof readApiEnvironment>

/** @throws EnvironmentError with every problem of the variables */
export function readApiEnvironment(source: NodeJS.ProcessEnv = process.env) {
  const env = readEnvironment(variables, source, {
    requiredInProduction: { ...databaseRequiredInProduction, JWT_SECRET: MAKE_A_SECRET },
  })
  return {
    ...env,
    ROUNDSMAN_DEMO: env.ROUNDSMAN_DEMO && env.NODE_ENV !== 'production',
    HOST: env.HOST ?? (env.NODE_ENV === 'production' ? '0.0.0.0' : '127.0.0.1'),
    JWT_SECRET: env.JWT_SECRET ?? obtainJwtSecret(env.DATA_DIR),
  }
}
