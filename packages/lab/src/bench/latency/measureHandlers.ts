import { startProcess } from '../startProcess.ts'
import { latencyOf, type Latency } from '../statistics.ts'
import { ENGINE_PROCESS, type EngineChoice } from '../throughput/runEngine.ts'

/** How many are sent before those that count: a process does everything more slowly the first time. */
export const WARM_UP = 20

/**
 * From the call that enqueues to the first line of the handler. Producer and worker are processes of their own; `first` is
 * done while the worker has nothing but its backlog.
 */
export async function measureHandlers(
  choice: EngineChoice,
  url: string,
  jobs: number,
  seed: number,
  first: () => Promise<unknown> = async () => undefined,
): Promise<Latency> {
  const start = (role: string) =>
    startProcess(ENGINE_PROCESS, {
      args: [role, url, String(WARM_UP + jobs), JSON.stringify(choice), String(seed)],
    })
  // Started first, since it creates the queue.
  const producer = start('produce')
  await producer.line(/^ready$/)
  const consumer = start('consume')
  await consumer.line(/^ready$/)
  await first()
  producer.send('go')
  const [[, sent = '[]'], [, handled = '[]']] = await Promise.all([
    producer.line(/^sent (.+)$/),
    consumer.line(/^handled (.+)$/),
  ])
  await Promise.all([producer.stop(), consumer.stop()])
  const handledAtNs = JSON.parse(handled) as string[]
  const sentAtNs = JSON.parse(sent) as string[]
  const latenciesMs = sentAtNs.map(
    (at, n) => Number(BigInt(handledAtNs[n] ?? 0) - BigInt(at)) / 1_000_000,
  )
  return latencyOf(latenciesMs.slice(WARM_UP))
}
