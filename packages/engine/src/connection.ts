/** The settings of the engine's connections, for hosts whose own should behave the same. It loads only the driver. */
export {
  connectionSettings,
  LIFT_TRANSACTION_TIMEOUT_SQL,
  readAskedSettings,
  type ConnectionSettings,
} from './store/connectionSettings.ts'
export { statementName } from './store/schema.ts'
