export { alertVariables, type AlertEnvironment } from './alertVariables.ts'
export { openAlerts, type OpenAlertsOptions } from './openAlerts.ts'
