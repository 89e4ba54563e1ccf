/** The first word by which a shell's function asks; no command, so that oclif is not loaded for it. */
const COMPLETE = '__complete'

/** The commands of the product, by id. `npm run generate` makes it of src/commands. */
export const COMMANDS = {
  'alias:add': () => import('./commands/alias/add.ts'),
  'alias:list': () => import('./commands/alias/list.ts'),
  'alias:remove': () => import('./commands/alias/remove.ts'),
  attach: () => import('./commands/attach.ts'),
  completion: () => import('./commands/completion.ts'),
  detach: () => import('./commands/detach.ts'),
  doctor: () => import('./commands/doctor.ts'),
  explain: () => import('./commands/explain.ts'),
  history: () => import('./commands/history.ts'),
  info: () => import('./commands/info.ts'),
  list: () => import('./commands/list.ts'),
  move: () => import('./commands/move.ts'),
  'rule:add': () => import('./commands/rule/add.ts'),
  'rule:check': () => import('./commands/rule/check.ts'),
  'rule:export': () => import('./commands/rule/export.ts'),
  'rule:import': () => import('./commands/rule/import.ts'),
  'rule:list': () => import('./commands/rule/list.ts'),
  'rule:remove': () => import('./commands/rule/remove.ts'),
  'rule:suggest': () => import('./commands/rule/suggest.ts'),
  'rule:test': () => import('./commands/rule/test.ts'),
  run: () => import('./commands/run.ts'),
  schema: () => import('./commands/schema.ts'),
  'setup:backend': () => import('./commands/setup/backend.ts'),
  'setup:dom0': () => import('./commands/setup/dom0.ts'),
  'setup:remove': () => import('./commands/setup/remove.ts'),
  watch: () => import('./commands/watch.ts'),
}

/**
 * Runs the program, or answers a shell that completes a line.
 * @returns whether the program may end at once
 * @see runProgram
 */
export async function main(args: string[], root: string): Promise<boolean> {
  if (args[0] === COMPLETE) {
    const { complete } = await import('./cli/complete.ts')
    return await complete(args.slice(1), root)
  }
  const { runProgram } = await import('./cli/run.ts')
  return await runProgram(args, root, COMMANDS)
}
