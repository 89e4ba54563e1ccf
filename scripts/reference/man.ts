import { type CommandDoc, partsOf } from './commands.ts'
import { describeErrors } from './error-words.ts'
import { escapeText, fillPage, head, macroText, sentence, text } from './mdoc.ts'

/** Pages on files, by the first word of the commands that they are about. */
const RELATED: Readonly<Record<string, readonly string[]>> = {
  alias: ['qusb.json 5'],
  explain: ['qusb.rules 5'],
  history: ['qusb.json 5'],
  rule: ['qusb.rules 5'],
  schema: ['qusb.json 5'],
  watch: ['qusb.rules 5'],
}

/**
 * A man page in mdoc(7) for one command.
 * @param date as `.Dd` has it, `July 1, 2026`
 */
export function renderManPage(command: CommandDoc, date: string): string {
  const name = `qusb-${command.words.replaceAll(' ', '-')}`
  return [
    ...head(name, date),
    '.Sh NAME',
    `.Nm ${name}`,
    `.Nd ${macroText(command.summary.replace(/\.$/, ''))}`,
    '.Sh SYNOPSIS',
    '.Nm qusb',
    `.Cm ${command.words}`,
    ...command.flags.filter((flag) => !flag.global).map((flag) => `.Op ${flagMacros(flag, ' | ')}`),
    ...command.args.map((arg) => {
      const word = arg.multiple ? `${arg.name} ...` : arg.name
      return arg.required ? `.Ar ${word}` : `.Op Ar ${word}`
    }),
    '.Sh DESCRIPTION',
    ...text(command.summary),
    ...partsOf(command.description).flatMap((part) =>
      part.kind === 'paragraph'
        ? ['.Pp', ...text(part.text)]
        : [
            '.Bl -tag -width Ds -compact',
            ...part.terms.flatMap(([term, meaning]) => [
              `.It Cm ${macroText(term)}`,
              ...text(sentence(meaning)),
            ]),
            '.El',
          ],
    ),
    ...(command.args.length + command.flags.length === 0 ? [] : ['.Bl -tag -width Ds']),
    ...command.args.flatMap((arg) => [`.It Ar ${arg.name}`, ...text(sentence(arg.description))]),
    ...command.flags.flatMap((flag) => [
      `.It ${flagMacros(flag, ' , ')}`,
      ...text(sentence(flag.description)),
      ...(flag.default === undefined ? [] : text(`The default is ${flag.default}.`)),
    ]),
    ...(command.args.length + command.flags.length === 0 ? [] : ['.El']),
    '.Sh EXIT STATUS',
    'See',
    '.Xr qusb 1 .',
    ...(command.examples.length === 0 ? [] : ['.Sh EXAMPLES']),
    ...command.examples.flatMap((example, i) => [
      ...(example.description === ''
        ? []
        : [...(i === 0 ? [] : ['.Pp']), ...text(`${example.description}:`)]),
      ...(example.description === '' && i === 0
        ? ['.Bd -literal -offset indent -compact']
        : ['.Bd -literal -offset indent']),
      escapeText(example.command),
      '.Ed',
    ]),
    '.Sh SEE ALSO',
    '.Xr qusb 1 ,',
    ...(RELATED[command.words.split(' ')[0] ?? ''] ?? []).map((page) => `.Xr ${page} ,`),
    '.Xr qusb 7',
    '',
  ].join('\n')
}

/**
 * The overview: written by hand but for its lists, which stand in for `@COMMANDS@` and `@EXIT_CODES@`.
 * @param template mdoc(7), with a first line `@HEAD@`
 */
export function renderOverview(template: string, commands: readonly CommandDoc[], date: string): string {
  const fill: Record<string, string[]> = {
    '@HEAD@': head('qusb', date),
    '@COMMANDS@': commands.flatMap((command) => [
      `.It Xr qusb-${command.words.replaceAll(' ', '-')} 1`,
      ...text(command.summary),
    ]),
    '@EXIT_CODES@': describeErrors().flatMap(({ exitCode, code, means }) => [
      `.It ${exitCode} ${code}`,
      ...text(means),
    ]),
  }
  return fillPage(template, fill)
}

function flagMacros(flag: CommandDoc['flags'][number], between: string): string {
  const long = `Fl \\-${flag.name}`.replace('\\-[no-]', '\\-[no\\-]')
  const value = flag.value === undefined ? '' : ` Ar ${macroText(flag.value)}`
  return `${flag.char === undefined ? '' : `Fl ${flag.char}${between}`}${long}${value}`
}
