import { deferCommand } from './cli/deferred-command.ts'

/** The first word by which a shell's function asks; no command, so that oclif is not loaded for it. */
const COMPLETE = '__complete'

/** The commands of the product, by id, for oclif's explicit strategy. `npm run generate` makes it of src/commands. */
export const COMMANDS = {
  'alias:add': deferCommand(() => import('./commands/alias/add.ts')),
  'alias:list': deferCommand(() => import('./commands/alias/list.ts')),
  'alias:remove': deferCommand(() => import('./commands/alias/remove.ts')),
  attach: deferCommand(() => import('./commands/attach.ts')),
  completion: deferCommand(() => import('./commands/completion.ts')),
  detach: deferCommand(() => import('./commands/detach.ts')),
  doctor: deferCommand(() => import('./commands/doctor.ts')),
  explain: deferCommand(() => import('./commands/explain.ts')),
  history: deferCommand(() => import('./commands/history.ts')),
  info: deferCommand(() => import('./commands/info.ts')),
  list: deferCommand(() => import('./commands/list.ts')),
  move: deferCommand(() => import('./commands/move.ts')),
  'rule:add': deferCommand(() => import('./commands/rule/add.ts')),
  'rule:check': deferCommand(() => import('./commands/rule/check.ts')),
  'rule:export': deferCommand(() => import('./commands/rule/export.ts')),
  'rule:import': deferCommand(() => import('./commands/rule/import.ts')),
  'rule:list': deferCommand(() => import('./commands/rule/list.ts')),
  'rule:remove': deferCommand(() => import('./commands/rule/remove.ts')),
  'rule:suggest': deferCommand(() => import('./commands/rule/suggest.ts')),
  'rule:test': deferCommand(() => import('./commands/rule/test.ts')),
  run: deferCommand(() => import('./commands/run.ts')),
  schema: deferCommand(() => import('./commands/schema.ts')),
  'setup:backend': deferCommand(() => import('./commands/setup/backend.ts')),
  'setup:dom0': deferCommand(() => import('./commands/setup/dom0.ts')),
  'setup:remove': deferCommand(() => import('./commands/setup/remove.ts')),
  watch: deferCommand(() => import('./commands/watch.ts')),
}

/**
 * Runs the program, or answers a shell that completes a line.
 * @see runProgram
 */
export async function main(args: string[], root: string, bundle: string): Promise<void> {
  if (args[0] === COMPLETE) {
    const { complete } = await import('./cli/complete.ts')
    return await complete(args.slice(1), root)
  }
  const { runProgram } = await import('./cli/run.ts')
  await runProgram(args, root, bundle, COMMANDS)
}
