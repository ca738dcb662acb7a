// The console over a database, as `npx roundsman console` serves it: prints the link that lets one in.
import { serveConsole } from '@roundsman/admin'
import { CONSOLE_JOBS } from './consoleJobs.ts'

const [, , databaseUrl = '', consoleDir = ''] = process.argv
// Whoever started it is gone.
process.stdin.on('end', () => process.exit(1)).resume()

const jobs = CONSOLE_JOBS.map(({ job }) => job)
const served = await serveConsole({ databaseUrl, schema: 'public', jobs, consoleDir })
process.once('SIGTERM', () => void served.close().then(() => process.exit(0)))
process.stdout.write(`${served.link}\n`)
