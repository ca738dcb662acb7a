export type { Access, Authorize } from './access.ts'
export {
  createFetchHandler,
  type FetchHandler,
  type FetchHandlerOptions,
} from './createFetchHandler.ts'
export {
  createNodeHandler,
  type NodeHandler,
  type NodeHandlerOptions,
} from './createNodeHandler.ts'
export { Problem, type ProblemOptions } from './http/problem.ts'
export type { AdminOptions } from './options.ts'
export { serveConsole, type ServeConsoleOptions, type ServedConsole } from './serveConsole.ts'
