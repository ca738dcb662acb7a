/** Exports for `@roundsman/fastify` only, without promises. */
export { containedLog } from '@roundsman/engine/internal'
export { createAdmin, openUnlessAway, type Visit } from './createAdmin.ts'
export { fromNode, toReadable } from './fromNode.ts'
export {
  answerFailure,
  answerProblem,
  SECURITY_HEADERS,
  securedHeaders,
  type Answer,
} from './http/answer.ts'
export { ADMIN, ADMIN_HINTS, asPrefix, checkAuthorize, type AdminOptions } from './options.ts'
export type { Route } from './route.ts'
