import { alertVariables } from '@roundsman/alerts'
import {
  commonVariables,
  databaseRequiredInProduction,
  integerVariable,
  readEnvironment,
  switchVariable,
  telemetryVariables,
} from '@roundsman/node-app'
import { z } from 'zod'
import { obtainJwtSecret } from './auth/obtainJwtSecret.ts'

const MAKE_A_SECRET = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

const variables = {
  ...commonVariables,
  ...telemetryVariables,
  ...alertVariables,
  /** Where the API listens. 0 picks a free one. */
  PORT: integerVariable({ min: 0, max: 65_535, default: 3_000 }),
  /** Default: only this machine; in production, every interface. */
  HOST: z.string().optional(),
  /** Signs the access tokens. Default: made once, and kept in DATA_DIR; not in production. */
  JWT_SECRET: z
    .string()
    // The value is not repeated, of course.
    .min(32, `has fewer than 32 characters; ${MAKE_A_SECRET}`)
    .optional(),
  /** What stands behind the @ in the ids of messages that are sent. Default: that of the application. */
  MAIL_DOMAIN: z
    .string()
    .max(253)
    .regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i, {
      error: 'has to be a domain, such as example.com',
    })
    .optional(),
  /** Set by a supervisor that holds our standard input open: when it ends, so do we. */
  ROUNDSMAN_SUPERVISED: switchVariable({ default: false }),
  /** Set by a supervisor that says on standard input when we may begin: see awaitRelease. */
  ROUNDSMAN_HELD: switchVariable({ default: false }),
  /** Set by a start that is for trying things out: the jobs of the demo are there if their history is. */
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
