// A mailbox in memory for all mail of a development stack. Why not an existing one: docs/adr/0002-local-inbox.md.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  awaitRelease,
  commonVariables,
  createLogger,
  EnvironmentError,
  explainListenError,
  integerVariable,
  listenForStop,
  readEnvironment,
  StartError,
  switchVariable,
} from '@roundsman/node-app'
import { createSmtpServer } from '@roundsman/testing/createSmtpServer'
import { answerInboxRequest } from './answerInboxRequest.ts'
import { inboxVariables } from './inboxVariables.ts'

/** Loopback only: whoever reaches the inbox reads all mail. */
const HOST = '127.0.0.1'
/** The oldest messages make room for new ones. */
const MAX_MESSAGES = 500

process.exit(await main())

async function main(): Promise<number> {
  try {
    const env = readEnvironment(
      {
        LOG_LEVEL: commonVariables.LOG_LEVEL,
        ROUNDSMAN_SUPERVISED: switchVariable({ default: false }),
        ROUNDSMAN_HELD: switchVariable({ default: false }),
        INBOX_SMTP_PORT: integerVariable({ min: 0, max: 65_535, default: 1025 }),
        ...inboxVariables,
      },
      process.env,
    )
    const log = createLogger({ app: 'inbox', level: env.LOG_LEVEL })
    const stop = listenForStop({ isSupervised: env.ROUNDSMAN_SUPERVISED })
    if (!(await awaitRelease({ isHeld: env.ROUNDSMAN_HELD, stop }))) return 0
    const { INBOX_PORT: webPort, INBOX_SMTP_PORT: smtpPort } = env

    const smtp = await explaining('INBOX_SMTP_PORT', smtpPort, () =>
      createSmtpServer({ port: smtpPort }),
    )
    smtp.react(({ stage }) => {
      if (stage === 'data' && smtp.messages.length >= MAX_MESSAGES) smtp.messages.shift()
      return undefined
    })
    const web = createServer((request, response) =>
      answerInboxRequest(smtp.messages, request, response),
    )
    await explaining('INBOX_PORT', webPort, async () => {
      web.listen(webPort, HOST)
      await once(web, 'listening')
    })
    const { port } = web.address() as AddressInfo
    log.info({ url: `http://${HOST}:${port}`, smtpUrl: smtp.url }, 'inbox listening')

    if (!stop.aborted) await once(stop, 'abort')
    web.close()
    web.closeAllConnections()
    await smtp.close()
    log.info('inbox stopped')
    return 0
  } catch (error) {
    if (!(error instanceof EnvironmentError || error instanceof StartError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

async function explaining<Result>(
  variable: string,
  port: number,
  listen: () => Promise<Result>,
): Promise<Result> {
  try {
    return await listen()
  } catch (error) {
    throw explainListenError(error, { variable, port, host: HOST }) ?? error
  }
}
