const OF_POSTGRES = /^(?:08...|57P0[1-5]|53300)$/
const OF_NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN)/
const OF_DRIVER =
  /^(?:Connection terminated|Query read timeout|timeout ex|Client (?:has encountered|was closed))/

/** Whether the error of PostgreSQL, the network or the driver means that the database is away or the connection lost. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code = '' } = error as { code?: unknown }
  if (typeof code === 'string' && code !== '')
    return OF_POSTGRES.test(code) || OF_NETWORK.test(code)
  return OF_DRIVER.test(error.message)
}
