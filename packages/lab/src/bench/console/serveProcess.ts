// The console over a database, as `npx roundsman console` serves it: tells the link that lets one in.
import { serveConsole } from '@roundsman/admin'
import { followDriver } from '../../followDriver.ts'
import { CONSOLE_JOBS } from './consoleJobs.ts'

const { settings, tell } = followDriver<{ databaseUrl: string; consoleDir: string }>()
const jobs = CONSOLE_JOBS.map(({ job }) => job)
const served = await serveConsole({ ...settings, schema: 'public', jobs })
process.once('SIGTERM', () => void served.close().then(() => process.exit(0)))
tell({ link: served.link })
