import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Where a program lies, looked for in `path` (as `$PATH`) and where administrators' programs are. */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  // What ordinary users have in their PATH leaves out where some systems keep such programs.
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin']) {
    const file = join(folder, name)
    if (
      folder &&
      (await access(file, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return file
  }
  return undefined
}
