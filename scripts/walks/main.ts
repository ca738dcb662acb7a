/*
 * `pnpm walks [--list] [--of FOLDER]`: counts the engine's functions on three walks, by V8's precise coverage of a real worker.
 * `--of` names another checkout of this repository, with its dependencies installed. `--list` prints the functions.
 *
 * - A function of packages/engine/src counts if it has a name and at least two lines. A callback, or a function of one line,
 *   is a part of the function around it.
 * - It counts for a walk if it was called between the walk's marks in at least 3 of 5 runs, and in none of them during the
 *   11 s in which the same worker had nothing to do. So what each round of a worker calls counts for no walk.
 * - Each run goes all walks once before, so that what only the first call needs does not count.
 */
import { fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join, resolve as toAbsolute } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  createDatabase,
  makeServerFolder,
  NOT_DURABLE,
  openThrowawayPostgres,
  waitFor,
} from '@roundsman/testing'
import { readCommit } from '@roundsman/testing/readCommit'
import type { Called, JobName, Order, ParticipantSettings, Report, Role } from './participant.ts'

const RUNS = 5
const IN_RUNS = 3
/** Covers what a worker does each ten seconds. */
const IDLE_MS = 11_000
const QUIET_MS = 1_000
/** When the two ticks are due, from the start of the workers. The second comes before what they do each minute. */
const FIRST_TICK_MS = 24_000
const SECOND_TICK_MS = 50_000

/** The walks, each with its marks. */
const WALKS = {
  'tick → handler': 'from some seconds before a tick until its handler begins',
  'enqueue → settled':
    'client and worker, from an enqueue in a transaction of pg until a second after the work is completed',
  'killed → requeued':
    'from the SIGKILL of another worker until a second after its work waits again',
}
type Walk = keyof typeof WALKS

const { values } = parseArgs({ options: { list: { type: 'boolean' }, of: { type: 'string' } } })
const root = toAbsolute(values.of ?? join(import.meta.dirname, '../..'))

const dataDir = await makeServerFolder('roundsman-walks-')
const postgres = await openThrowawayPostgres({ dataDir, settings: NOT_DURABLE })
try {
  const databases = Array.from({ length: RUNS }, (_, run) => `walks${run}`)
  const settled = await Promise.allSettled(
    databases.map(async (name) => measure(await createDatabase(postgres.url, name))),
  )
  const runs = settled.map((run) => {
    if (run.status === 'rejected') throw run.reason
    return run.value
  })
  print(`The engine at commit ${await readCommit(root)}`)
  const idle = new Set(runs.flatMap((run) => run.idle.map(keyOf)))
  for (const name of Object.keys(WALKS) as Walk[]) {
    const calls = runs.flatMap((run) => uniqueOf(run[name]))
    const often = [...Map.groupBy(calls, keyOf)].flatMap(([key, [one, ...others]]) =>
      one && others.length + 1 >= IN_RUNS && !idle.has(key) ? [one] : [],
    )
    await printWalk(name, often)
  }
} finally {
  await postgres.release()
}

function uniqueOf(called: readonly Called[]): Called[] {
  return [...new Map(called.map((one) => [keyOf(one), one])).values()]
}

function keyOf({ file, start }: Called): string {
  return `${file}:${String(start).padStart(9, '0')}`
}

async function printWalk(walk: Walk, called: readonly Called[]): Promise<void> {
  const located = called
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    .map(async ({ name, file, start, end }) => {
      const text = await readFile(join(root, 'packages/engine/src', file), 'utf8')
      const lines = text.slice(start, end).split('\n').length
      return { name, file, line: text.slice(0, start).split('\n').length, lines }
    })
  // V8 gives names in angle brackets to the values of a class's fields.
  const counted = (await Promise.all(located)).filter(
    ({ name, lines }) => /^[^<]/.test(name) && lines > 1,
  )
  const files = new Set(counted.map(({ file }) => file)).size
  const lengths = counted.map(({ lines }) => lines).toSorted((a, b) => a - b)
  const median = lengths[lengths.length >> 1]
  print(`\n${walk} (${WALKS[walk]})`)
  print(
    `${counted.length} functions in ${files} files; lines: ${lengths.at(-1)} at most, median ${median}`,
  )
  if (!values.list) return
  for (const { name, file, line, lines } of counted) print(`  ${file}:${line} ${name} ${lines}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Has a worker go each walk once, then do nothing for a while, and then go each walk under the counter. */
async function measure(databaseUrl: string): Promise<Record<Walk | 'idle', Called[]>> {
  const participants: Participant[] = []
  const load = async (role: Role) => {
    const participant = startParticipant({ root, databaseUrl, role })
    participants.push(participant)
    await participant.next('ready')
    return participant
  }
  try {
    const [client, worker, lost1, lost2] = await Promise.all([
      load('client'),
      load('watched'),
      load('lost1'),
      load('lost2'),
    ])
    const ticks: Called[][] = []
    worker.onTick((called) => ticks.push(called))
    const take = async () => (await worker.ask({ do: 'take' }, 'taken')).called
    const enqueue = async (job: JobName) => await client.ask({ do: 'enqueue', job }, 'enqueued')
    const reaches = async (job: JobName, id: string, wanted: string) => {
      const isThere = async () => {
        const { state } = await client.ask({ do: 'state', job, id }, 'state')
        return state === wanted
      }
      await waitFor(isThere, { message: `${job} is ${wanted}` })
      await pause(QUIET_MS)
    }
    /** Has another worker run a job until it is killed. */
    const hold = async (other: Participant, job: JobName) => {
      await other.ask({ do: 'start' }, 'started')
      const { id } = await enqueue(job)
      await reaches(job, id, 'running')
      return async () => {
        other.kill()
        await reaches(job, id, 'waiting')
      }
    }
    const complete = async () => {
      const { id, called } = await enqueue('noop')
      await reaches('noop', id, 'completed')
      return called
    }

    await client.ask({ do: 'start' }, 'started')
    const startedAt = Date.now()
    const due = [FIRST_TICK_MS, SECOND_TICK_MS].map((ms) => new Date(startedAt + ms).getSeconds())
    await worker.ask({ do: 'start', cron: `${due.join()} * * * * *` }, 'started')
    const killFirst = await hold(lost1, 'lost1')
    await killFirst()
    await complete()
    const kill = await hold(lost2, 'lost2')
    await waitFor(() => ticks.length === 1, { message: 'the first tick is handled' })
    await pause(QUIET_MS)

    await take()
    await pause(IDLE_MS)
    const idle = await take()

    const enqueued = await complete()
    const settled = [...enqueued, ...(await take())]

    await kill()
    const requeued = await take()

    if (ticks.length !== 1 || Date.now() > startedAt + SECOND_TICK_MS - QUIET_MS)
      throw new Error('This machine is too busy: the walks took too long. Try again')
    await waitFor(() => ticks.length === 2, { message: 'the second tick is handled' })
    return {
      idle,
      'tick → handler': ticks[1] ?? [],
      'enqueue → settled': settled,
      'killed → requeued': requeued,
    }
  } finally {
    for (const participant of participants) participant.kill()
  }
}

interface Participant {
  next<Kind extends Report['kind']>(kind: Kind): Promise<Report & { kind: Kind }>
  ask<Kind extends Report['kind']>(order: Order, kind: Kind): Promise<Report & { kind: Kind }>
  onTick(listener: (called: Called[]) => void): void
  kill(): void
}

function startParticipant(settings: ParticipantSettings): Participant {
  const child = fork(join(import.meta.dirname, 'participant.ts'), [JSON.stringify(settings)])
  const next: Participant['next'] = (kind) =>
    new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`The process ${settings.role} ended`))
      const onMessage = (report: Report) => {
        if (report.kind !== kind) return
        child.off('message', onMessage).off('exit', onExit)
        resolve(report as never)
      }
      child.on('message', onMessage).once('exit', onExit)
    })
  return {
    next,
    ask(order, kind) {
      child.send(order)
      return next(kind)
    },
    onTick: (listener) =>
      child.on('message', (report: Report) => report.kind === 'ticked' && listener(report.called)),
    kill: () => child.kill('SIGKILL'),
  }
}
