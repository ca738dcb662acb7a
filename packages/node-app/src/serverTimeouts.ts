export interface ServerTimeoutOptions {
  /** How long a request's headers may take to arrive. Default 15,000 ms. */
  headersMs?: number
  /** How long a whole request may take to arrive, body included. Default 30,000 ms. */
  requestMs?: number
  /**
   * The server cuts a connection on which nothing was sent or received for this long. A slow download may take longer in
   * all. Default 120,000 ms.
   */
  idleMs?: number
  /** How often the server looks for requests that are over their time. Default 2,000 ms. */
  checkEveryMs?: number
}

/**
 * Time-outs for a Fastify server, which has none by default: a client that sends slowly, or does not read its answer, would
 * hold a connection and its memory for ever.
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

/** For a Fastify server that compiles no schema, or brings its own compiler: Fastify's are then not even loaded. */
export const noSchemaCompilers = {
  compilersFactory: { buildValidator: refuseToBuild, buildSerializer: refuseToBuild },
}

function refuseToBuild(): never {
  throw new Error('This server has no schema compiler')
}

/** Whether a server that listens on `host` can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|::1)$/.test(host)
}
