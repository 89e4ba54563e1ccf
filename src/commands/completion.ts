import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { string } from '@oclif/core/args'
import { QusbCommand } from '../cli/command.ts'
import type { CompletionResult } from '../lib/passthrough/results.ts'

/** By shell, the file in share/completions; each has the name under which that shell looks for it. */
const FILES = { bash: 'qusb.bash', zsh: '_qusb', fish: 'qusb.fish' } as const

const SHELLS = Object.keys(FILES) as CompletionResult['shell'][]

export default class Completion extends QusbCommand {
  static override summary = 'Print what makes a shell complete the words of qusb.'
  static override description =
    'Completes commands, flags, USB qubes, devices with their descriptions, frontends, and what is attached. Only running qubes are asked, and no longer than 0.3 s. The package for dom0 installs it; elsewhere the shell reads it when it starts.'
  static override examples = [
    { description: 'In ~/.bashrc', command: 'source <(<%= config.bin %> completion bash)' },
    { description: 'In ~/.zshrc, after compinit', command: 'source <(<%= config.bin %> completion zsh)' },
    {
      description: 'In ~/.config/fish/config.fish',
      command: '<%= config.bin %> completion fish | source',
    },
  ]
  static override args = {
    shell: string({ description: 'for which shell', options: SHELLS, required: true }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Completion)
    const shell = args.shell as CompletionResult['shell']
    const script = readFileSync(join(this.config.root, 'share/completions', FILES[shell]), 'utf8')
    const result: CompletionResult = { schema: 1, shell, script }
    this.report({ result }, flags, (shown) => shown.script)
  }
}
