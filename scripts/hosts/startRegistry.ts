import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createTarball } from '../release/createTarball.ts'
import { packPublished, type PackedPackage } from '../release/packPublished.ts'
import { runCommand } from './runCommand.ts'

const ROOT = join(import.meta.dirname, '../..')

export interface Registry {
  /** Settings by which npm and pnpm use this registry. */
  env: Record<string, string>
  close(): Promise<void>
}

/**
 * Serves this repository's packages on loopback in npm's protocol, as `latest`, and a made-up later version as `next`.
 * All other packages come from the registry that is configured on this machine.
 */
export async function startRegistry(folder: string, signal: AbortSignal): Promise<Registry> {
  const packed = await packPublished(ROOT, join(folder, 'packed'))
  const tarballs = new Map<string, Buffer>()
  const packages = new Map<string, object>()
  const options = { cwd: folder, env: process.env, signal }
  const uplink = (await runCommand('npm config get registry', options)).trim()
  const server = createServer(({ url = '/', headers }, response) => {
    const path = decodeURIComponent(url).slice(1)
    const own = tarballs.get(path) ?? packages.get(path)
    if (own instanceof Buffer) response.end(own)
    else if (own) response.end(JSON.stringify(own))
    else void passOn(new URL(url, uplink), headers.accept, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const toVersion = ({ name, version }: Named, files: PackedPackage['files']) => {
    const tarball = createTarball(files)
    const path = `${name}/-/${version}.tgz`
    tarballs.set(path, tarball)
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const manifest = JSON.parse(String(files.get('package.json'))) as object
    const described = { ...manifest, dist: { tarball: registry + path, integrity } }
    return { [version]: described } as Record<string, object>
  }
  for (const one of packed) {
    const { name, version } = one
    const next = nextOf(version)
    const latest = toVersion(one, one.files)
    const versions = { ...latest, ...toVersion({ name, version: next }, filesOfNext(one)) }
    packages.set(name, { name, 'dist-tags': { latest: version, next }, versions })
    // pnpm asks for it before it has the whole.
    packages.set(`${name}/latest`, latest[version] ?? {})
  }
  return {
    env: {
      npm_config_registry: registry,
      npm_config_cache: join(folder, 'npm-cache'),
      pnpm_config_registry: registry,
      pnpm_config_cache_dir: join(folder, 'pnpm-cache'),
      pnpm_config_store_dir: join(folder, 'pnpm-store'),
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type Named = Pick<PackedPackage, 'name' | 'version'>

async function passOn(url: URL, accept: string | undefined, response: ServerResponse) {
  try {
    const answer = await fetch(url, accept === undefined ? {} : { headers: { accept } })
    response.statusCode = answer.status
    response.end(Buffer.from(await answer.arrayBuffer()))
  } catch (error) {
    response.writeHead(502).end(String(error))
  }
}

function nextOf(version: string): string {
  const [major, minor] = version.split('.')
  return `${major}.${Number(minor) + 1}.0`
}

/** The files of the made-up next version: the same under another version number. */
function filesOfNext({ version, manifest, files }: PackedPackage): Map<string, Buffer> {
  const changed = new Map(files)
  const next = nextOf(version)
  const dependencies = Object.fromEntries(
    Object.entries(manifest.dependencies ?? {}).map(([name, range]) => [
      name,
      range === version && /^@?roundsman/.test(name) ? next : range,
    ]),
  )
  const text = JSON.stringify({ ...manifest, version: next, dependencies })
  changed.set('package.json', Buffer.from(text))
  return changed
}
