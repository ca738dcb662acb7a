export type { Access, Authorize } from './access.ts'
export { roundsman, type RoundsmanOptions } from './roundsman.ts'
export {
  createNodeHandler,
  type NodeHandler,
  type NodeHandlerOptions,
} from './createNodeHandler.ts'
export { serveConsole, type ServeConsoleOptions, type ServedConsole } from './serveConsole.ts'
