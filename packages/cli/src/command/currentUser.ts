import { userInfo } from 'node:os'

/** Who asks for what a command does. In a container the account may be a number without a name. */
export function currentUser(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.()}`
  }
}
