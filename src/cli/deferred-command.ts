import type { Command } from '@oclif/core/command'
import type { Config } from '@oclif/core/config'

/** A class of a command that is no longer abstract. */
type CommandClass = typeof Command & (new (argv: string[], config: Config) => Command)

/** A command that is loaded when it is called. oclif sets `id` and `plugin`, and calls `run`. */
export interface DeferredCommand {
  id: string
  plugin: typeof Command.plugin
  load(): Promise<CommandClass>
  run(argv: string[], config: Config): Promise<unknown>
}

/**
 * Defers a command: what a run does not need is not loaded, and start-up is most of the time of a run. What oclif must
 * know beforehand (names, flags, help) stands in its manifest.
 */
export function deferCommand(load: () => Promise<{ default: unknown }>): DeferredCommand {
  return {
    id: '',
    plugin: undefined,
    load: async () => (await load()).default as CommandClass,
    async run(argv, config) {
      const command = await this.load()
      command.id = this.id
      command.plugin = this.plugin
      return await command.run(argv, config)
    },
  }
}
