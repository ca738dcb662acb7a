/** For a host whose own routes answer as the admin API does, like this repository's API. */
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
