import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'

/** The network between a client and PostgreSQL. */
export interface Proxy {
  port: number
  /** Ends all connections at both ends, or those whose greeting is meant. Returns how many there were. */
  cut(isMeant?: (greeting: string) => boolean): number
  /** From now on, refuses clients whose greeting is meant. Null: refuses nobody. */
  refuse(isMeant: ((greeting: string) => boolean) | null): void
  /**
   * From now on nothing gets through in either direction, and neither end is told, not even when the other is gone. New
   * connections are accepted and not answered.
   */
  goHalfOpen(): void
  /**
   * Nothing gets through any more on the open connections, and neither end is told. New ones get through, as after a
   * fail-over of something in between.
   */
  forget(): void
  /** Forgets one connection alone: that over which a client sends the `message`-th message from now, which is lost. */
  forgetAt(message: number): void
  /** From now on, what clients send arrives so much later: a round trip takes so much longer. */
  delay(ms: number): void
  /** How many round trips there have been: how often a client sent something after an answer, or at first. */
  roundTrips(): number
  /** Ends each open connection in the middle of a message, after this number of further bytes to its client. */
  cutAfter(bytes: number): void
  /** Leads new connections to another port. Open ones stay where they are. */
  retarget(port: number): void
  /** Lets connections through again. Those that lost bytes are reset, as a router that forgot them does, or stay silent. */
  heal(isReset?: boolean): void
  close(): void
}

interface Pair {
  sockets: Socket[]
  /** What its client sent first: to PostgreSQL, the user, the database and the application's name. */
  greeting: string
  isSwallowed: boolean
  /** Whether the last to speak was the client. */
  isAsked: boolean
  bytesLeft: number
}

export async function createProxy(targetPort: number): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let isHalfOpen = false
  let isRefused: (greeting: string) => boolean = () => false
  let target = targetPort
  let delayMs = 0
  let roundTrips = 0
  let messagesLeft = Infinity
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const pair: Pair = {
      sockets: [near],
      greeting: '',
      isSwallowed: isHalfOpen,
      isAsked: false,
      bytesLeft: Infinity,
    }
    pairs.add(pair)
    if (isHalfOpen) {
      near.on('error', () => undefined).resume()
      return
    }
    const far = connect({
      port: target,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    })
    pair.sockets.push(far)
    near.once('data', (chunk) => {
      pair.greeting = chunk.toString('latin1')
      if (isRefused(pair.greeting)) end(pair)
    })
    near.on('data', () => {
      if (--messagesLeft === 0) pair.isSwallowed = true
      if (!pair.isAsked) roundTrips++
      pair.isAsked = true
    })
    far.on('data', () => (pair.isAsked = false))
    forward(pair, near, far, inOrder())
    forward(pair, far, near, (deliver) => deliver())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  /** Has each delivery wait for the delay of its time, and overtake none before it. */
  function inOrder(): (deliver: () => void) => void {
    const underWay: (() => void)[] = []
    return (deliver) => {
      if (delayMs === 0 && underWay.length === 0) return deliver()
      underWay.push(deliver)
      setTimeout(() => underWay.shift()?.(), delayMs)
    }
  }

  function forward(
    pair: Pair,
    from: Socket,
    to: Socket,
    later: (deliver: () => void) => void,
  ): void {
    const isToClient = to === pair.sockets[0]
    from.on('data', (chunk: Buffer) => {
      later(() => {
        if (pair.isSwallowed) return
        const part = isToClient ? chunk.subarray(0, pair.bytesLeft) : chunk
        const hasRoom = to.write(part)
        if (isToClient) pair.bytesLeft -= part.length
        if (pair.bytesLeft === 0) {
          pair.isSwallowed = true
          to.end(() => end(pair))
          return
        }
        if (hasRoom) return
        from.pause()
        to.once('drain', () => from.resume())
      })
    })
    from.on('end', () => {
      later(() => {
        if (!pair.isSwallowed) to.end()
      })
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      later(() => {
        if (!pair.isSwallowed) end(pair)
      })
    })
  }

  function end(pair: Pair): void {
    pairs.delete(pair)
    for (const socket of pair.sockets) socket.destroy()
  }

  function forget(): void {
    for (const pair of pairs) {
      pair.isSwallowed = true
      // Sockets that wait for room to write would otherwise wait for ever.
      for (const socket of pair.sockets) socket.resume()
    }
  }

  function heal(isReset = true): void {
    isHalfOpen = false
    if (!isReset) return
    for (const pair of pairs) if (pair.isSwallowed) end(pair)
  }

  return {
    port: (server.address() as AddressInfo).port,
    cut(isMeant = () => true) {
      const meant = [...pairs].filter(({ greeting }) => isMeant(greeting))
      for (const pair of meant) end(pair)
      return meant.length
    },
    refuse(isMeant) {
      isRefused = isMeant ?? (() => false)
    },
    goHalfOpen() {
      isHalfOpen = true
      forget()
    },
    forget,
    forgetAt(message) {
      messagesLeft = message
    },
    delay(ms) {
      delayMs = ms
    },
    roundTrips: () => roundTrips,
    cutAfter(bytes) {
      for (const pair of pairs) pair.bytesLeft = bytes
    },
    retarget(to) {
      target = to
    },
    heal,
    close() {
      heal()
      for (const pair of pairs) end(pair)
      server.close()
    },
  }
}
