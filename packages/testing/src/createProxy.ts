import { once } from 'node:events'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'

/** The network between a client and PostgreSQL. */
export interface Proxy {
  port: number
  /** Ends every connection, at both ends. Returns how many there were. */
  cut(): number
  /**
   * From now on nothing gets through in either direction, and neither end is told: not of what is lost,
   * nor when the other end is gone. New connections are accepted and not answered.
   */
  goHalfOpen(): void
  /**
   * Nothing gets through any more on the connections that there are, and neither end is told; new ones get
   * through, as after a fail-over of something in between.
   */
  forget(): void
  /** New connections lead to another port; those that there are stay where they are. */
  retarget(port: number): void
  /** Connections get through again. Those that lost bytes are reset, as a router that forgot them does. */
  heal(): void
  close(): void
}

interface Pair {
  sockets: Socket[]
  isSwallowed: boolean
}

export async function createProxy(targetPort: number): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let isHalfOpen = false
  let target = targetPort
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const pair: Pair = { sockets: [near], isSwallowed: isHalfOpen }
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
    forward(pair, near, far)
    forward(pair, far, near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  function forward(pair: Pair, from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (pair.isSwallowed || to.write(chunk)) return
      from.pause()
      to.once('drain', () => from.resume())
    })
    from.on('end', () => {
      if (!pair.isSwallowed) to.end()
    })
    from.on('error', () => undefined)
    from.on('close', () => {
      if (!pair.isSwallowed) end(pair)
    })
  }

  function end(pair: Pair): void {
    pairs.delete(pair)
    for (const socket of pair.sockets) socket.destroy()
  }

  function forget(): void {
    for (const pair of pairs) {
      pair.isSwallowed = true
      // What waits for room to be written would wait for ever.
      for (const socket of pair.sockets) socket.resume()
    }
  }

  function heal(): void {
    isHalfOpen = false
    for (const pair of pairs) if (pair.isSwallowed) end(pair)
  }

  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      const count = pairs.size
      for (const pair of pairs) end(pair)
      return count
    },
    goHalfOpen() {
      isHalfOpen = true
      forget()
    },
    forget,
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
