import { integerVariable } from '@roundsman/node-app'

/** The port at which the local inbox shows its messages. */
export const inboxVariables = {
  INBOX_PORT: integerVariable({ min: 0, max: 65_535, default: 1080 }),
}
