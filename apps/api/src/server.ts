import { listenForStop } from '@roundsman/node-app'
import { runServer } from './runServer.ts'

process.exit(await runServer({ variables: undefined, stderr: process.stderr, listenForStop }))
