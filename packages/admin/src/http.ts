/** For a host whose own routes answer like the admin API, such as this repository's API. */
export { instant, pageLimit, storableLine, storableText } from './http/fields.ts'
export { formatCursor, nextPageCursor, pageCursor, type PageCursor } from './http/pageCursor.ts'
export {
  describeProblems,
  invalidRequest,
  Problem,
  problemDocument,
  problemResponses,
  problemSchema,
  type RequestError,
} from './http/problem.ts'
