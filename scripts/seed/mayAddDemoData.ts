import { isLoopback } from '@roundsman/node-app'

/** Everybody knows the demo accounts' password: they are for this machine alone, unless somebody asks for them. */
export function mayAddDemoData({ HOST, DEMO_DATA }: NodeJS.ProcessEnv): boolean {
  if (DEMO_DATA) return DEMO_DATA === 'true'
  return !HOST || isLoopback(HOST)
}
