import { integerVariable, secretVariable } from '@roundsman/node-app'
import { z } from 'zod'

const MAX_RECIPIENTS = 20

/**
 * The environment variables that say whom to tell when something is wrong with the jobs, and when. API and worker read
 * them.
 */
export const alertVariables = {
  /** Gets each alert as JSON. Default: no webhook is called. */
  ALERT_WEBHOOK_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || isWebAddress(text), {
      // The message does not repeat the value: anybody who knows it can send false alarms.
      error:
        'is not an address to post alerts to; set one such as https://hooks.example.com/roundsman, without a user and a password in it, or leave it out',
    }),
  /** The format of the webhook: the notice as JSON, or a message for an incoming webhook of Slack. */
  ALERT_WEBHOOK_FORMAT: z.enum(['json', 'slack']).default('json'),
  /** Signs requests, so that a receiver can tell them from forged ones. Default: requests are not signed. */
  ALERT_WEBHOOK_SECRET: secretVariable({
    minLength: 16,
    remedy: 'make one with: openssl rand -hex 16',
  }).optional(),
  /** E-mail addresses, separated by commas. Default: no mail is sent. */
  ALERT_EMAIL_TO: z
    .string()
    .optional()
    .transform((text, context) => {
      const addresses = [...new Set((text ?? '').split(',').map((part) => part.trim()))].filter(
        (part) => part !== '',
      )
      const wrong = addresses.find((address) => !z.email().safeParse(address).success)
      if (wrong === undefined && addresses.length <= MAX_RECIPIENTS) return addresses
      context.addIssue(
        wrong === undefined
          ? `names more than ${MAX_RECIPIENTS} addresses; set the address of a list instead`
          : `${JSON.stringify(wrong)} is not an e-mail address; set one such as oncall@example.com, or several with commas between them`,
      )
      return z.NEVER
    }),
  /** The console's address, which alerts link to. Default: alerts link to nothing. */
  ALERT_CONSOLE_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || isWebAddress(text), {
      error: 'is not the address of the console; set one such as https://example.com/console',
    }),
  /** The share of a job's latest runs that is too much, in per cent. */
  ALERT_FAILURE_PERCENT: integerVariable({ min: 1, max: 100, default: 10 }),
  /** A queue with less waiting work than this is never behind. */
  ALERT_QUEUE_WAITING: integerVariable({ min: 1, max: 100_000, default: 1 }),
  /** How long a queue must be behind before an alert is raised. */
  ALERT_QUEUE_MINUTES: integerVariable({ min: 1, max: 1_440, default: 10, unit: 'minutes' }),
}

export type AlertEnvironment = z.infer<z.ZodObject<typeof alertVariables>>

function isWebAddress(text: string): boolean {
  const url = URL.parse(text)
  // fetch refuses addresses with credentials in them.
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === ''
}
