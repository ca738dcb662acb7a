import { ForeseenError } from '../command/runCommand.ts'

/**
 * Loads a module that imports rolldown. It weighs more than all else together, so only products that call these commands
 * install it.
 * @throws ForeseenError when it is not installed
 */
export async function needRolldown<Loaded>(
  command: string,
  load: () => Promise<Loaded>,
): Promise<Loaded> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes("'rolldown'")) throw error
    throw new ForeseenError(
      `roundsman ${command} needs the package rolldown, as a devDependency: npm install --save-dev rolldown@1`,
      { cause: error },
    )
  }
}
