import { integerVariable } from '@roundsman/node-app'

/** Where the local inbox shows what it has got. */
export const inboxVariables = {
  INBOX_PORT: integerVariable({ min: 0, max: 65_535, default: 1080 }),
}
