import type { ClientConfig } from 'pg'

/** Of every connection on which instants are read and written. */
export const CONNECTION_SETTINGS = {
  // node-postgres waits for ever by default, and a request with it.
  connectionTimeoutMillis: 5_000,
  // A process that vanishes from the network inside a transaction must not keep its locks for hours.
  idle_in_transaction_session_timeout: 60_000,
  // The adapter sends instants without an offset and drops the one it reads: in any other zone they
  // would be hours off.
  options: '-c timezone=UTC',
} as const satisfies ClientConfig
