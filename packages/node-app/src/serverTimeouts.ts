export interface ServerTimeoutOptions {
  /** Until a request's headers have come. Default 15,000 ms. */
  headersMs?: number
  /** Until a request has come, its body included. Default 30,000 ms. */
  requestMs?: number
  /**
   * A connection on which nothing has come or gone for so long is cut: what is sent bit by bit may take longer. Default
   * 120,000 ms.
   */
  idleMs?: number
  /** How often it is looked whether time is over. Default 2,000 ms. */
  checkEveryMs?: number
}

/**
 * Time-outs for a server of Fastify's, which has none of its own: whoever sends slowly, or takes no answer, would hold a
 * connection and its memory for ever.
 */
export function serverTimeouts({
  headersMs = 15_000,
  requestMs = 30_000,
  idleMs = 120_000,
  checkEveryMs = 2_000,
}: ServerTimeoutOptions = {}) {
  return {
    requestTimeout: requestMs,
    connectionTimeout: idleMs,
    http: { headersTimeout: headersMs, connectionsCheckingInterval: checkEveryMs },
  }
}

/** For a server of Fastify's that compiles no schema, or brings what does: its own compilers are not even loaded. */
export const noSchemaCompilers = {
  compilersFactory: { buildValidator: refuseToBuild, buildSerializer: refuseToBuild },
}

function refuseToBuild(): never {
  throw new Error('This server has no compiler for schemas')
}

/** Whether a server that listens there is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1)$/.test(host)
}
