import { Counter, type Registry } from '@roundsman/node-app/telemetry'
import type { Mailer, SendOutcome } from '../email/createMailer.ts'

/** The same mailer, which counts what became of the messages. */
export function countEmails(mailer: Mailer, registry: Registry): Mailer {
  const emails = new Counter({
    name: 'roundsman_emails_total',
    help: 'Attempts to hand a message to the mail server, by its answer.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  for (const outcome of ['sent', 'refused', 'unavailable'] satisfies SendOutcome['kind'][]) {
    emails.inc({ outcome }, 0)
  }
  return {
    async send(...args) {
      const outcome = await mailer.send(...args)
      emails.inc({ outcome: outcome.kind })
      return outcome
    },
    close: () => mailer.close(),
  }
}
