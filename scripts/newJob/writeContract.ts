import type { NewJobRequest } from './checkRequest.ts'

/** What the job is; `describe` is a sentence for people. */
export function writeContract({ name, cron }: NewJobRequest): string {
  const schedule = cron === null ? '' : `  schedule: { cron: '${cron}' },\n`
  return `import { defineJob } from '@roundsman/engine'

export const ${name} = defineJob({
  name: '${name}',
  description: '${describe(name)}',
${schedule}})
`
}

/** `Send reminders.` for sendReminders; whoever knows better says so. */
function describe(name: string): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}, in batches.`
}
