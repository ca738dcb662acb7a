export { defineConfig, type OpenedHandlers, type RoundsmanConfig } from './config/config.ts'
