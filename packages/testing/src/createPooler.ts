import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

/** A pooler in front of PostgreSQL. */
export interface Pooler {
  url: string
  /** Ends every client's connection, as a restart of the pooler does. PostgreSQL rolls back what was under way. */
  cut(): void
  close(): Promise<void>
}

export interface CreatePoolerOptions {
  /** The time zone of its connections to PostgreSQL, which clients can't change. Default UTC. */
  timeZone?: string
  /** More settings of these connections, like a role's or a server's defaults. Default: none. */
  settings?: Readonly<Record<string, string>>
  /** When it takes a connection back from a client. Default: after each transaction. */
  mode?: 'transaction' | 'session'
  /** Startup parameters for which it refuses a client. Default: none; it then ignores all of them. */
  refused?: readonly string[]
}

/** A connection to PostgreSQL. */
interface Server {
  socket: Socket
  client: Client | null
}

interface Client {
  socket: Socket
  server: Server | null
  /** What the client sent while it had no connection to PostgreSQL. */
  unsent: Buffer[]
  /** Questions that are not answered completely. */
  pending: number
}

const SERVERS = { transaction: 5, session: 30 }
const REOPEN_MS = 100
const SSL_REQUEST = 80_877_103
const START = 196_608

/**
 * Lends its clients a connection for each transaction, another one each time, with whatever the one before left on it: as
 * PgBouncer with pool_mode=transaction, server_round_robin=1, max_prepared_statements=0, and startup parameters ignored. Or, in
 * the other mode, until the client leaves.
 */
export async function createPooler(
  url: string,
  { timeZone = 'UTC', settings = {}, mode = 'transaction', refused = [] }: CreatePoolerOptions = {},
): Promise<Pooler> {
  const clients = new Set<Client>()
  const servers = new Set<Server>()
  const idle: Server[] = []
  const waiting: Client[] = []
  const parameters = new Map<string, string>()
  let isClosed = false

  async function openServer(): Promise<void> {
    // The driver logs in; from then on we use its socket.
    const options = Object.entries({ timezone: timeZone, ...settings })
      .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
      .join(' ')
    const driver = new pg.Client({ connectionString: url, options })
    driver.on('error', () => undefined)
    const { connection } = driver as unknown as {
      connection: NodeJS.EventEmitter & { stream: Socket }
    }
    connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) =>
      parameters.set(message.parameterName, message.parameterValue),
    )
    await driver.connect()
    const server: Server = { socket: connection.stream, client: null }
    server.socket.removeAllListeners('data').removeAllListeners('close')
    servers.add(server)
    const split = createSplitter()
    server.socket.on('data', (chunk) => {
      for (const message of split(chunk)) answer(server, message)
    })
    server.socket.on('close', () => {
      server.client?.socket.destroy()
      servers.delete(server)
      if (idle.includes(server)) idle.splice(idle.indexOf(server), 1)
      void reopenServer()
    })
    give(server)
  }

  /** PostgreSQL may be away for a while. */
  async function reopenServer(): Promise<void> {
    while (!isClosed) {
      try {
        return await openServer()
      } catch {
        await pause(REOPEN_MS)
      }
    }
  }

  function give(server: Server): void {
    const client = waiting.shift()
    if (client === undefined) {
      idle.push(server)
      return
    }
    server.client = client
    client.server = server
    for (const message of client.unsent.splice(0)) server.socket.write(message)
  }

  /** Passes an answer on. It drops what no client waits for, such as a notification. */
  function answer(server: Server, message: Buffer): void {
    const { client } = server
    if (client === null) return
    client.socket.write(message)
    if (typeOf(message) !== 'Z') return
    client.pending--
    const isInTransaction = message.toString('latin1', 5, 6) !== 'I'
    if (client.pending > 0 || isInTransaction || mode === 'session') return
    client.server = null
    server.client = null
    give(server)
  }

  function ask(client: Client, message: Buffer): void {
    const type = typeOf(message)
    if (type === 'X') {
      client.socket.end()
      return
    }
    // A query, or the end of a series of messages: PostgreSQL will answer it with a Z.
    if (type === 'Q' || type === 'S') client.pending++
    if (client.server) {
      client.server.socket.write(message)
      return
    }
    client.unsent.push(message)
    if (client.unsent.length > 1) return
    waiting.push(client)
    const server = idle.shift()
    if (server) give(server)
  }

  function accept(socket: Socket): void {
    const client: Client = { socket, server: null, unsent: [], pending: 0 }
    clients.add(client)
    const split = createSplitter()
    let isStarted = false
    socket.on('data', (chunk) => {
      for (const message of split(chunk, { isUntyped: !isStarted })) {
        if (isStarted) ask(client, message)
        else if (message.readUInt32BE(4) === SSL_REQUEST) socket.write('N')
        else if (message.readUInt32BE(4) === START) {
          isStarted = true
          const unwanted = refused.find((name) => message.includes(`\0${name}\0`))
          if (unwanted === undefined) socket.write(greeting(parameters))
          else socket.end(refusal(`unsupported startup parameter: ${unwanted}`))
        } else socket.destroy()
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clients.delete(client)
      if (waiting.includes(client)) waiting.splice(waiting.indexOf(client), 1)
      // A client that leaves half-way leaves a transaction: ending the connection makes PostgreSQL roll it back.
      client.server?.socket.destroy()
    })
  }

  const listener = createServer({ noDelay: true }, accept).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  await Promise.all(Array.from({ length: SERVERS[mode] }, openServer))

  const own = new URL(url)
  own.port = String((listener.address() as AddressInfo).port)
  const cut = () => {
    for (const { socket } of clients) socket.destroy()
  }
  return {
    url: own.href,
    cut,
    async close() {
      isClosed = true
      listener.close()
      cut()
      for (const { socket } of servers) socket.destroy()
    },
  }
}

const typeOf = (message: Buffer) => message.toString('latin1', 0, 1)

/** Cuts a stream into messages: a type, which a client's first message lacks, and a length that counts itself. */
function createSplitter(): (chunk: Buffer, options?: { isUntyped: boolean }) => Generator<Buffer> {
  let rest = Buffer.alloc(0)
  return function* split(chunk, options = { isUntyped: false }) {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const lengthAt = options.isUntyped ? 0 : 1
      if (rest.length < lengthAt + 4) return
      const end = lengthAt + rest.readUInt32BE(lengthAt)
      if (rest.length < end) return
      const message = rest.subarray(0, end)
      rest = rest.subarray(end)
      yield message
    }
  }
}

/** What a server tells a client that it lets in: that it did, its settings, and that it is ready for a question. */
function greeting(parameters: ReadonlyMap<string, string>): Buffer {
  return Buffer.concat([
    frame('R', Buffer.alloc(4)),
    ...[...parameters].map(([name, value]) => frame('S', Buffer.from(`${name}\0${value}\0`))),
    frame('K', Buffer.alloc(8)),
    frame('Z', Buffer.from('I')),
  ])
}

function refusal(text: string): Buffer {
  return frame('E', Buffer.from(`SFATAL\0C08P01\0M${text}\0\0`))
}

function frame(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
