import { deferCommand } from './cli/deferred-command.ts'
import { runProgram } from './cli/run.ts'

/** The commands of the product, by id: oclif's explicit strategy reads this table. */
export const COMMANDS = {
  'alias:add': deferCommand(() => import('./commands/alias/add.ts')),
  'alias:list': deferCommand(() => import('./commands/alias/list.ts')),
  'alias:remove': deferCommand(() => import('./commands/alias/remove.ts')),
  attach: deferCommand(() => import('./commands/attach.ts')),
  detach: deferCommand(() => import('./commands/detach.ts')),
  history: deferCommand(() => import('./commands/history.ts')),
  info: deferCommand(() => import('./commands/info.ts')),
  list: deferCommand(() => import('./commands/list.ts')),
  move: deferCommand(() => import('./commands/move.ts')),
  run: deferCommand(() => import('./commands/run.ts')),
  schema: deferCommand(() => import('./commands/schema.ts')),
  watch: deferCommand(() => import('./commands/watch.ts')),
  'setup:dom0': deferCommand(() => import('./commands/setup/dom0.ts')),
}

/** @see runProgram */
export async function main(args: string[], root: string, bundle: string): Promise<void> {
  await runProgram(args, root, bundle)
}
