import { string } from '@oclif/core/args'
import { boolean } from '@oclif/core/flags'
import { QusbCommand } from '../cli/command.ts'
import { nextTurn } from '../lib/host/turn.ts'
import type { ListResult } from '../lib/passthrough/results.ts'
import { readQube } from '../lib/passthrough/words.ts'

export default class List extends QusbCommand {
  static override summary = 'List the USB devices of the USB qubes, and who has each.'
  static override description =
    'Asks every backend at once. One that does not answer is a warning beside the devices of the others, and an error when it was named. Into a pipe, one device a line, tab-separated: backend, port, vid:pid, serial, class, description, speed, attached to; "-" for none.'
  static override examples = [
    { description: 'What is there, and who has it', command: '<%= config.bin %> list' },
    { description: 'Only the devices of one USB qube', command: '<%= config.bin %> list sys-usb' },
    { description: 'Hubs and ports as a tree', command: '<%= config.bin %> list --tree' },
    { description: 'For a script', command: '<%= config.bin %> list --json' },
  ]
  static override args = {
    backend: string({
      description: 'USB qubes to ask; by default the configured or usual ones',
      multiple: true,
    }),
  }
  static override flags = {
    all: boolean({ char: 'a', description: 'hubs and devices hidden on purpose too' }),
    attached: boolean({ description: 'only what is attached' }),
    tree: boolean({ description: 'hubs and ports as a tree' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(List)
    const backends = (args.backend ?? []).map((name) => readQube(name, 'backend'))
    const context = this.context()
    await context.directory.askEarly()
    // Loaded while qubesd answers.
    const { list } = await import('../lib/passthrough/list.ts')
    const listing = list(context, {
      backends,
      all: flags.all || flags.tree,
      attached: flags.attached,
      // The lines for a pipe do not tell them.
      assignments: flags.json || flags.tree || process.stdout.isTTY === true,
    })
    // Loaded while the backends answer.
    const viewing = nextTurn().then(() => import('../lib/view/devices.ts'))
    const [outcome, view] = await Promise.all([listing, viewing])
    this.report(outcome, flags, (result) => this.draw(result, flags.tree, view))
  }

  private draw(
    { devices, error }: ListResult,
    tree: boolean,
    view: typeof import('../lib/view/devices.ts'),
  ): string {
    // A backend that failed has not said that it has no devices.
    if (devices.length === 0 && error !== undefined) return ''
    if (tree) return view.renderDeviceTree(devices, this.terminal())
    return process.stdout.isTTY === true
      ? view.renderDeviceList(devices, this.terminal())
      : view.renderDeviceLines(devices)
  }
}
