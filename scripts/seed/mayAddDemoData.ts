import { isLoopback } from '@roundsman/node-app'

/** Everybody knows the demo accounts' password: they are for this machine alone, unless somebody asks for them. */
export function mayAddDemoData({ HOST, DEMO_DATA }: NodeJS.ProcessEnv): boolean {
  if (DEMO_DATA) return DEMO_DATA === 'true'
  return !HOST || isLoopback(HOST)
}

/** Jobs that do nothing but show what there is to see. They are for people; who counts what runs leaves them out. */
export function mayAddDemoJobs(variables: NodeJS.ProcessEnv): boolean {
  return mayAddDemoData(variables) && variables['DEMO_JOBS'] !== 'false'
}
