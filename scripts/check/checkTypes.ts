import { access, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { listFiles } from './listFiles.ts'
import { listWorkspaces, type Workspace } from './listWorkspaces.ts'
import { runTool } from './runTool.ts'

/** The files that the projects include, as their tsconfig files say. */
const TYPED =
  /^(packages|apps)\/[^/]+\/(src|test|e2e)\/|^(scripts|docs\/examples)\/|^(apps\/[^/]+\/)?[^/]+\.config\.ts$/

/**
 * Compiles the packages as the build does, and checks tests and scripts against the packages' sources. It also reports
 * files that no project includes: nobody would find their type errors.
 */
export async function checkTypes(root: string): Promise<readonly string[]> {
  const [files, references, compiled] = await Promise.all([
    listFiles(root),
    checkReferences(root),
    runTool(root, 'tsc', ['-b', '--pretty', 'false']),
  ])
  const untyped = files.filter((path) => /\.[cm]?tsx?$/.test(path) && !TYPED.test(path))
  return [...references, ...untyped.map((path) => `${path}: no tsconfig includes it`), ...compiled]
}

/** Projects without a package. They check and emit nothing. */
const OTHER_PROJECTS = ['scripts', 'tsconfig.tests.json']

/**
 * Reports packages whose tsconfig.json refers to others than they depend on, and projects that the root does not name.
 * Nothing else tells: sources of a missing project go into the wrong one, and an unnamed project is never checked.
 */
export async function checkReferences(root: string): Promise<readonly string[]> {
  const workspaces = await listWorkspaces(root)
  const folderByName = new Map(workspaces.map(({ manifest, folder }) => [manifest.name, folder]))
  const ofPackages = workspaces.map((workspace) =>
    compare(root, {
      folder: workspace.folder,
      expected: dependencies(workspace).flatMap((name) => folderByName.get(name) ?? []),
      reason: 'which package.json depends on',
    }),
  )
  const ofRoot = compare(root, {
    folder: '.',
    expected: [
      ...workspaces.map(({ folder }) => folder),
      ...OTHER_PROJECTS,
      ...(await findTestProjects(root, workspaces)),
    ],
    reason: 'so that nothing in it is checked',
  })
  return (await Promise.all([...ofPackages, ofRoot])).flat()
}

/** The test projects of packages whose tests do not run in Node. */
async function findTestProjects(root: string, workspaces: readonly Workspace[]): Promise<string[]> {
  const paths = workspaces.map(({ folder }) => `${folder}/tsconfig.tests.json`)
  const found = await Promise.all(
    paths.map((path) =>
      access(join(root, path)).then(
        () => [path],
        () => [],
      ),
    ),
  )
  return found.flat()
}

interface Expectation {
  folder: string
  expected: readonly string[]
  /** Why a missing reference should be there. */
  reason: string
}

/** Compares a project's references with those that it should have. */
async function compare(root: string, { folder, expected, reason }: Expectation): Promise<string[]> {
  const path = posix.join(folder, 'tsconfig.json')
  const references = await readReferences(root, path)
  if (references === undefined) return [`${path}: is missing or is not valid JSON`]
  const actual = references.map((reference) => posix.join(folder, reference))
  const missing = expected.filter((target) => !actual.includes(target))
  const needless = actual.filter((target) => !expected.includes(target))
  return [
    ...missing.map((target) => `${path}: does not refer to ${target}, ${reason}`),
    ...needless.map((target) => `${path}: refers to ${target} without need`),
  ]
}

function dependencies({ manifest }: Workspace): string[] {
  return Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
}

async function readReferences(root: string, path: string): Promise<string[] | undefined> {
  try {
    const { references = [] } = JSON.parse(await readFile(join(root, path), 'utf8')) as {
      references?: { path: string }[]
    }
    return references.map((reference) => reference.path)
  } catch {
    return undefined
  }
}
