import type { Code } from './readCode.ts'

/** By this line `vitest.config.ts` tells which project a test belongs to. */
const PROCESSES = '// Processes: '
const HEADER = /^\/\/ (?:Processes|Not quick):.*$/m

const TEST = /\/(?:test|e2e)\/.*\.test\.ts$/
/** `vitest.config.ts` lists these by name. */
const PACKAGES = /^scripts\/test\/(?:init|guide)\/|^scripts\/test\/release\.test\.ts$/

/** Code that kills or freezes a process, or keeps a worker, an API, PostgreSQL or a whole stack running in one. */
const SIGNS = [
  /\bkill\([^()\n]*'SIG(?:KILL|STOP)'\)/,
  /\b(?:startWorkerProcess|useTallyStage|openShop|spawnWorker|startApi|spawnStart|acquireEmbeddedPostgres)\(/,
  /\brunChaos\(/,
]
const STARTS = /\b(?:spawnProcess|spawn)\(/

/**
 * Reports tests in the wrong command: `pnpm test:processes` has those that kill, freeze or keep up processes, `pnpm
 * test` all others. It reads each file alone: a helper that kills is named by the test that calls it.
 */
export function checkTests({ files }: Pick<Code, 'files'>): readonly string[] {
  return [...files]
    .filter(([path]) => TEST.test(path) && !PACKAGES.test(path))
    .flatMap(([path, text]) => checkTest(path, text))
}

function checkTest(path: string, text: string): string[] {
  const [header] = HEADER.exec(text) ?? []
  if (header !== undefined && !text.startsWith(header)) {
    return [`${path}:1: has to begin with its line "${header}"`]
  }
  if (header !== undefined && !/: \S.*\.$/.test(header)) {
    return [`${path}:1: say behind "${header}" why, in a sentence`]
  }
  const sign = SIGNS.map((pattern) => pattern.exec(text)).find((found) => found !== null)
  if (sign && !text.startsWith(PROCESSES)) {
    const line = text.slice(0, sign.index).split('\n').length
    return [
      `${path}:${line}: kills or keeps up a process (${sign[0]}): begin the file with "${PROCESSES}<reason>.", or move ` +
        'these tests into a file that does',
    ]
  }
  if (text.startsWith(PROCESSES) && !sign && !STARTS.test(text)) {
    return [`${path}:1: starts no process: it belongs to pnpm test, without "${PROCESSES}"`]
  }
  return []
}
