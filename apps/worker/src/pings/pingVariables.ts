import { jobs } from '@roundsman/jobs'
import { z } from 'zod'
import { jobVariable } from '../jobVariable.ts'

const pingVariable = (jobName: string) => jobVariable(jobName, 'PING_URL')

const pingUrl = z
  .string()
  .optional()
  .refine((text) => text === undefined || isPingUrl(text), {
    // The value is not repeated: whoever knows it can say that all is well.
    error:
      'is not an address for pings; set one such as https://hc.example.com/ping/<id>, without a user and a password in it, or leave it out',
  })

/** One for each job: whom to tell that its runs start and end, such as CLEANUP_I18N_CACHE_PING_URL. */
export const pingVariables = Object.fromEntries(
  jobs.map(({ name }) => [pingVariable(name), pingUrl]),
)

/** By name of job, those that are set. */
export function readPingUrls(env: Readonly<Record<string, unknown>>): Map<string, URL> {
  return new Map(
    jobs.flatMap(({ name }) => {
      const text = env[pingVariable(name)]
      return typeof text === 'string' ? [[name, new URL(text)] as const] : []
    }),
  )
}

function isPingUrl(text: string): boolean {
  const url = URL.parse(text)
  // fetch refuses credentials in an address.
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === ''
}
