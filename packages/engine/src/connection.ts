/** How the engine opens its connections, for a host whose own are to behave as they do. Loads the driver alone. */
export {
  connectionSettings,
  LIFT_TRANSACTION_TIMEOUT_SQL,
  readAskedSettings,
  type ConnectionSettings,
} from './store/connectionSettings.ts'
export { statementName } from './store/schema.ts'
