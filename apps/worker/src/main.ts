import { listenForStop } from '@roundsman/node-app'
import { runWorker } from './runWorker.ts'

process.exit(await runWorker({ variables: undefined, stderr: process.stderr, listenForStop }))
