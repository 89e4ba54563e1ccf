import { type CommandDoc, flagWords, partsOf, synopsisOf } from './commands.ts'

const BEGIN = '<!-- commands: made by `npm run generate` -->'
const END = '<!-- /commands -->'

/**
 * The README with its command reference as the code has it.
 * @throws Error when the README has no place for it
 */
export function fillReadme(readme: string, commands: readonly CommandDoc[]): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`README.md has no "${BEGIN}" … "${END}"`)
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${renderReference(commands)}\n${readme.slice(end)}`
}

function renderReference(commands: readonly CommandDoc[]): string {
  const everywhere = commands[0]?.flags.filter((flag) => flag.global && inAll(flag.name, commands)) ?? []
  const sections = commands.map((command) => {
    const flags = command.flags.filter((flag) => !everywhere.some((each) => each.name === flag.name))
    const rows = [
      ...command.args.map((arg) => `| \`${arg.name}\` | ${cell(arg.description)} |`),
      ...flags.map((flag) => {
        const fallback = flag.default === undefined ? '' : ` (default: \`${flag.default}\`)`
        return `| \`${cell(flagWords(flag))}\` | ${cell(flag.description)}${fallback} |`
      }),
    ]
    return [
      `### \`qusb ${command.words}\``,
      '',
      command.summary,
      ...partsOf(command.description).flatMap((part) =>
        part.kind === 'paragraph'
          ? ['', part.text]
          : ['', ...part.terms.map(([term, meaning]) => `- \`${term}\`: ${meaning}`)],
      ),
      '',
      '```',
      ['qusb', command.words, ...synopsisOf({ ...command, flags })].join(' '),
      ...command.examples.flatMap((example) => [
        '',
        ...(example.description === '' ? [] : [`# ${example.description}`]),
        example.command,
      ]),
      '```',
      ...(rows.length === 0 ? [] : ['', '| | |', '|---|---|', ...rows]),
      '',
    ].join('\n')
  })
  const shared = everywhere.map((flag) => `\`${flagWords(flag)}\` (${flag.description})`).join(', ')
  return `Every command takes ${shared}, and \`--help\`.\n\n${sections.join('\n')}`
}

function inAll(name: string, commands: readonly CommandDoc[]): boolean {
  return commands.every((command) => command.flags.some((flag) => flag.name === name))
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
