import { isLoopback } from '@roundsman/node-app'

/**
 * Whether demo accounts may be made. Everybody knows their password, so only where this machine alone is reached, or
 * DEMO_DATA asks for them.
 */
export function mayAddDemoData({ HOST, DEMO_DATA }: NodeJS.ProcessEnv): boolean {
  if (DEMO_DATA) return DEMO_DATA === 'true'
  return !HOST || isLoopback(HOST)
}

/**
 * Whether the demo's jobs may be added. They are there for people to look at; DEMO_JOBS=false leaves them out, for
 * tests that count what runs.
 */
export function mayAddDemoJobs(variables: NodeJS.ProcessEnv): boolean {
  return mayAddDemoData(variables) && variables['DEMO_JOBS'] !== 'false'
}
