/** For a host whose own routes answer as the plugin's do, like this repository's API. */
export { answerError, sendProblem } from './http/answerError.ts'
export { instant } from './http/instant.ts'
export { formatCursor, nextPageCursor, pageCursor, type PageCursor } from './http/pageCursor.ts'
export { pageLimit } from './http/pageLimit.ts'
export {
  describeProblems,
  invalidRequest,
  Problem,
  problemDocument,
  problemResponses,
  problemSchema,
  type RequestError,
} from './http/problem.ts'
export { storableLine, storableText } from './http/storableText.ts'
export { answersBefore } from './http/zodRoutes.ts'
