// What bin/pnpm does instead of the network, in the foreign workspace that it is called in.
import { listPackages } from './listPackages.ts'
import { migrateDeploy } from './schemaEngine.ts'
import { writeLockfile } from './writeLockfile.ts'

const [what, name] = process.argv.slice(2)
const root = process.cwd()
if (what === 'lockfile') {
  await writeLockfile(root, process.env['ROUNDSMAN'] ?? '')
} else {
  const found = (await listPackages(root)).find(({ manifest }) => manifest.name === name)
  if (found === undefined) throw new Error(`There is no package ${name}`)
  const applied = await migrateDeploy(found.folder, process.env['DATABASE_URL'] ?? '')
  process.stdout.write(applied.map((migration) => `applied ${migration}\n`).join(''))
}
