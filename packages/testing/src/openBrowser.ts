import { execFile } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'

export type { Browser, BrowserContext, Locator, Page, Request, Route } from 'playwright-core'

/** Part of the folder's name, so that another version is unpacked anew. */
const VERSION = '153'

/**
 * Opens a headless Chromium from npm, with its libraries and a font, whose processes end with `close()` or with this one.
 * Where that package has no build for the machine, CHROMIUM_PATH names one.
 */
export async function openBrowser(): Promise<Browser> {
  // Loaded here: most files that load this module open no browser.
  const { chromium } = await import('playwright-core')
  const given = process.env['CHROMIUM_PATH']
  if (given) return await chromium.launch({ executablePath: given, args: ARGS })
  const folder = await unpack()
  return await chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: ARGS,
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(folder, 'al2023/lib'),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  })
}

/**
 * The package's own list has --single-process, with which a browser has one context and does not survive it. Root has no
 * sandbox, nor have most containers; the tests open only our own pages. Threads that compile and collect garbage beside a
 * page take a sixth more of the processors, which other tests keep busy anyway.
 */
const ARGS = [
  '--js-flags=--single-threaded',
  '--no-sandbox',
  '--no-zygote',
  '--disable-gpu',
  '--font-render-hinting=none',
]

/** Unpacks Chromium once for each user of the machine, which takes some seconds. Returns the folder. */
async function unpack(): Promise<string> {
  const { uid } = userInfo()
  const folder = join(tmpdir(), `roundsman-chromium-${VERSION}-${uid}`)
  if (await isOurs(folder, uid)) return folder
  // Unpacked under another name and then renamed: nobody starts what another process is still writing.
  const draft = await mkdtemp(join(tmpdir(), 'roundsman-chromium-'))
  try {
    await extract(draft)
    await mkdir(join(draft, 'cache'))
    await writeFile(join(draft, 'fonts.conf'), fontsConfig(folder))
    await chmod(draft, 0o755)
    await rename(draft, folder).catch(async (error: unknown) => {
      // Another process was faster.
      if (!(await isOurs(folder, uid))) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return folder
}

/** Everybody may write to the temporary folder: what another user put there under this name must not be executed. */
async function isOurs(folder: string, uid: number): Promise<boolean> {
  const found = await lstat(folder).catch(() => null)
  if (found === null) return false
  if (found.isDirectory() && found.uid === uid) return true
  throw new Error(`${folder} belongs to somebody else: remove it, or set TMPDIR to another folder`)
}

/**
 * The package unpacks into the temporary folder of its process, and its libraries only on machines that it is made for. A
 * process of its own can be told both.
 */
async function extract(folder: string): Promise<void> {
  const script = `
    import chromium from ${JSON.stringify(import.meta.resolve('@sparticuz/chromium'))}
    await chromium.executablePath()`
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    env: { ...process.env, TMPDIR: folder, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' },
  })
}

/** Uses the machine's own fonts, if it has any, and the one in the package. */
function fontsConfig(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${folder}/fonts/fonts</dir>
  <cachedir>${folder}/cache</cachedir>
</fontconfig>
`
}
