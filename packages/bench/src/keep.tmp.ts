import { writeFileSync } from 'node:fs'
import { openServer } from './openServer.ts'
import { fillRuns } from './runs/fillRuns.ts'
const s = await openServer()
const url = await s.createDatabase('runs_many')
const few = await s.createDatabase('runs_few')
console.time('few')
await fillRuns(few, 10_000, 1)
console.timeEnd('few')
console.time('fill')
await fillRuns(url, 10_000_000, 1)
console.timeEnd('fill')
writeFileSync('/tmp/bout/url', url)
writeFileSync('/tmp/bout/urlfew', few)
process.once('SIGTERM', () => {
  void s.close().then(() => process.exit(0))
})
setInterval(() => undefined, 1000)
