import { runProgram } from '../cli/run.ts'

/** The commands of the lab, by id. */
export const COMMANDS = {
  'lab:down': () => import('./commands/down.ts'),
  'lab:exec': () => import('./commands/exec.ts'),
  'lab:fault': () => import('./commands/fault.ts'),
  'lab:plug': () => import('./commands/plug.ts'),
  'lab:status': () => import('./commands/status.ts'),
  'lab:unplug': () => import('./commands/unplug.ts'),
  'lab:up': () => import('./commands/up.ts'),
}

export { openLab, startLab } from './client.ts'
export { runDaemon } from './daemon.ts'

/** @see runProgram */
export async function main(args: string[], root: string): Promise<void> {
  await runProgram(args, root, COMMANDS)
}
