import { runProgram } from '../cli/run.ts'
import LabDown from './commands/down.ts'
import LabExec from './commands/exec.ts'
import LabFault from './commands/fault.ts'
import LabPlug from './commands/plug.ts'
import LabStatusCommand from './commands/status.ts'
import LabUnplug from './commands/unplug.ts'
import LabUp from './commands/up.ts'

/** The commands of the lab, by id: oclif's explicit strategy reads this table. */
export const COMMANDS = {
  'lab:down': LabDown,
  'lab:exec': LabExec,
  'lab:fault': LabFault,
  'lab:plug': LabPlug,
  'lab:status': LabStatusCommand,
  'lab:unplug': LabUnplug,
  'lab:up': LabUp,
}

export { openLab, startLab } from './client.ts'
export { runDaemon } from './daemon.ts'

/** @see runProgram */
export async function main(args: string[], root: string, bundle: string): Promise<void> {
  await runProgram(args, root, bundle)
}
