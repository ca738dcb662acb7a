import { spawn } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findFreePort } from '@roundsman/local-postgres'
import { runCommand, stopGroup } from './runCommand.ts'

const SOURCES = join(import.meta.dirname, 'registry')
/** Installed once, but no dependency of the workspace: only this needs its 300 packages. */
const PROGRAM = join(import.meta.dirname, '../../node_modules/.cache/registry-on-loopback')

export interface Registry {
  url: string
  /** Settings by which npm and pnpm use this registry and may publish to it. */
  env: Record<string, string>
  close(): Promise<void>
}

/**
 * Starts a verdaccio that takes published packages, keeps them in `folder`, and asks the registry that is configured on
 * this machine for all others.
 */
export async function startRegistry(folder: string, signal: AbortSignal): Promise<Registry> {
  await mkdir(PROGRAM, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) {
    await copyFile(join(SOURCES, file), join(PROGRAM, file))
  }
  const options = { cwd: PROGRAM, env: process.env, signal }
  await runCommand('npm ci --ignore-scripts --no-audit --no-fund --prefer-offline', options)
  const uplink = (await runCommand('npm config get registry', options)).trim()

  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}/`
  const config = join(folder, 'registry.yaml')
  await writeFile(config, configuration(folder, uplink))
  await writeFile(
    join(folder, 'npmrc'),
    // npm demands a token to publish; verdaccio accepts any.
    `registry=${url}\n//127.0.0.1:${port}/:_authToken=anybody\n`,
  )
  const server = spawn(
    process.execPath,
    [join(PROGRAM, 'node_modules/verdaccio/bin/verdaccio'), '--config', config, '--listen', url],
    { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], detached: true },
  )
  const close = () => stopGroup(server)
  try {
    while (!(await answers(`${url}-/ping`))) {
      signal.throwIfAborted()
      if (server.exitCode !== null) throw new Error(`verdaccio ended with ${server.exitCode}`)
      await pause(100, undefined, { signal })
    }
  } catch (error) {
    await close()
    throw error
  }
  return {
    url,
    env: {
      npm_config_userconfig: join(folder, 'npmrc'),
      npm_config_registry: url,
      npm_config_cache: join(folder, 'npm-cache'),
      pnpm_config_registry: url,
      pnpm_config_cache_dir: join(folder, 'pnpm-cache'),
      pnpm_config_store_dir: join(folder, 'pnpm-store'),
    },
    close,
  }
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => null)
  await response?.body?.cancel()
  return response?.ok ?? false
}

/** verdaccio's settings: everybody may publish our packages, and it fetches all others from the uplink. */
function configuration(folder: string, uplink: string): string {
  const ours = '{ access: $all, publish: $all, unpublish: $all }'
  return `storage: ${join(folder, 'registry')}
web: { enable: false }
uplinks:
  outside: { url: '${uplink}', timeout: 60s, max_fails: 100, fail_timeout: 1s, maxage: 30m }
packages:
  '@roundsman/*': ${ours}
  'roundsman': ${ours}
  '**': { access: $all, proxy: outside }
auth: { htpasswd: { file: '${join(folder, 'htpasswd')}', max_users: -1 } }
log: { type: stdout, format: pretty, level: warn }
max_body_size: 100mb
`
}
