import { runProgram } from './cli/run.ts'
import Attach from './commands/attach.ts'
import Detach from './commands/detach.ts'
import History from './commands/history.ts'
import Info from './commands/info.ts'
import List from './commands/list.ts'
import Schema from './commands/schema.ts'
import SetupDom0 from './commands/setup/dom0.ts'

/** The commands of the product, by id: oclif's explicit strategy reads this table. */
export const COMMANDS = {
  attach: Attach,
  detach: Detach,
  history: History,
  info: Info,
  list: List,
  schema: Schema,
  'setup:dom0': SetupDom0,
}

/** @see runProgram */
export async function main(args: string[], root: string, bundle: string): Promise<void> {
  await runProgram(args, root, bundle)
}
