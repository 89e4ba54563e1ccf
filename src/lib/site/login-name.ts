import { userInfo } from 'node:os'
import { QusbError } from '../errors.ts'
import { cleanText } from '../model/text.ts'

/** The user behind sudo or su, else the process's own. */
export function loginName(): string {
  const sudo = process.env.SUDO_USER
  if (process.getuid?.() === 0 && sudo !== undefined && /^[a-zA-Z0-9_.-]{1,32}$/.test(sudo)) return sudo
  try {
    return cleanText(userInfo().username, 64).text
  } catch (error) {
    // A uid without a passwd entry.
    if (process.getuid === undefined)
      throw new QusbError('INTERNAL', 'this system has no user ids', { cause: error })
    return String(process.getuid())
  }
}
