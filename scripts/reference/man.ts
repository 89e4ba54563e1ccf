import * as z from 'zod'
import { CHECKS } from '../../src/lib/doctor/checks.ts'
import { EXIT_CODES } from '../../src/lib/errors.ts'
import { OPTIONS, valuesOf } from '../../src/lib/rules/options.ts'
import { siteSchema } from '../../src/lib/site/site.ts'
import { type CommandDoc, partsOf } from './commands.ts'

/** What each exit code means, for the overview; a code without words fails the compilation. */
const EXIT_WORDS: Record<keyof typeof EXIT_CODES, string> = {
  INTERNAL: 'A fault of qusb.',
  USAGE: 'Bad arguments, a malformed selector or qube name, a configuration that is not valid.',
  NOT_FOUND: 'No such device, qube or backend.',
  AMBIGUOUS: 'The selector names several devices; they are listed, each with a selector to paste.',
  CONFLICT: 'Attached to another frontend, or another qusb is at work on it.',
  REFUSED: 'A guard, a deny rule, the Qubes policy or the user said no.',
  NOT_RUNNING: 'No connection: the qube is halted, paused, or its agent does not answer.',
  NO_PROXY: 'The USB proxy is missing; the message says on which side.',
  TIMEOUT: 'Connected, and not finished in time.',
  ATTACH_FAILED: 'The proxy or the kernel reported a failure.',
  STORE: 'The state file cannot be read or written.',
  INTERRUPTED: 'Interrupted by a signal; undone unless the message says otherwise.',
  TERMINATED: 'Ended by a signal; undone unless the message says otherwise.',
}

const WIDTH = 76

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
    '.Xr qusb 1',
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
    '@EXIT_CODES@': Object.entries(EXIT_WORDS).flatMap(([code, words]) => [
      `.It ${EXIT_CODES[code as keyof typeof EXIT_CODES]} ${code}`,
      ...text(words),
    ]),
  }
  return fillPage(template, fill)
}

/** What is in force without a site file, and may be another thing with one. */
function siteFields(): string[] {
  const { properties = {} } = z.toJSONSchema(siteSchema, { io: 'input' })
  return Object.entries(properties).flatMap(([name, field]) => {
    if (typeof field !== 'object' || field.default === undefined) return []
    const usual = Array.isArray(field.default) ? field.default.join(', ') : JSON.stringify(field.default)
    return name === 'limits' ? [] : [`.It Li ${macroText(name)}`, ...text(usual.replaceAll('"', ''))]
  })
}

/** Pages on files and on how it works: written by hand but for their lists, by the name of the page. */
const OTHER_PAGES: Readonly<Record<string, { section: number; lists: () => Record<string, string[]> }>> = {
  'qusb.rules': {
    section: 5,
    lists: () => ({
      '@OPTIONS@': OPTIONS.flatMap((option) => [
        `.It Li ${macroText(`${option.name}=`)} Ns Ar ${option.values.kind === 'switch' ? 'yes|no' : 'number'}`,
        ...text(`${option.meaning} The value is ${valuesOf(option)}.`),
      ]),
    }),
  },
  'qusb.json': { section: 5, lists: () => ({ '@SITE@': siteFields() }) },
  qusb: {
    section: 7,
    lists: () => ({
      '@CHECKS@': CHECKS.flatMap(({ id, title, about }) => [
        `.It ${macroText(title)} Pq Li ${macroText(id)}`,
        ...text(about),
      ]),
    }),
  },
}

/**
 * The pages beside those of commands.
 * @param read gives the template of a page, by its file's name
 * @returns each by its file's name in man/
 */
export function renderOtherPages(read: (file: string) => string, date: string): [string, string][] {
  return Object.entries(OTHER_PAGES).map(([name, { section, lists }]) => [
    `man/${name}.${section}`,
    fillPage(read(`${name === 'qusb' ? `qusb.${section}` : name}.mdoc`), {
      '@HEAD@': head(name, date, section),
      ...lists(),
    }),
  ])
}

function fillPage(template: string, lists: Readonly<Record<string, string[]>>): string {
  return template
    .split('\n')
    .flatMap((line) => lists[line] ?? [line])
    .join('\n')
}

function head(name: string, date: string, section = 1): string[] {
  return ['.\\" Made by `npm run generate`.', `.Dd ${date}`, `.Dt ${name.toUpperCase()} ${section}`, '.Os']
}

function flagMacros(flag: CommandDoc['flags'][number], between: string): string {
  const long = `Fl \\-${flag.name}`.replace('\\-[no-]', '\\-[no\\-]')
  const value = flag.value === undefined ? '' : ` Ar ${macroText(flag.value)}`
  return `${flag.char === undefined ? '' : `Fl ${flag.char}${between}`}${long}${value}`
}

/** A description as a sentence; a first word that is a name keeps its letter. */
function sentence(words: string): string {
  const begin = /^[a-z]+(?=[ ,;:]|$)/.test(words) ? words.charAt(0).toUpperCase() + words.slice(1) : words
  return begin === '' || /[.!?]$/.test(begin) ? begin : `${begin}.`
}

/** Text lines: a sentence begins a line, and no line is long. */
function text(words: string): string[] {
  return words.split(/(?<=[.:;?!]["”)]?) +(?=\S)/).flatMap((part) => wrap(part).map(escapeText))
}

function wrap(words: string): string[] {
  const lines: string[] = []
  for (const word of words.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= WIDTH)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** A line that is text, whatever it begins with; a dash that is typed is a dash when it is copied. */
function escapeText(line: string): string {
  return line
    .replaceAll('\\', '\\e')
    .replace(/(?<![\p{L}\p{N}])-+(?=\S)/gu, (dashes) => '\\-'.repeat(dashes.length))
    .replace(/^[.']/, '\\&$&')
    .replace(
      /[^\x20-\x7e]/gu,
      (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    )
}

/** Words as arguments of a macro: a word that is itself the name of one is taken as text. */
function macroText(words: string): string {
  return escapeText(words)
    .split(' ')
    .map((word) => (/^([A-Z][a-z]|[.,:;()|?![\]])$/.test(word) ? `\\&${word}` : word))
    .join(' ')
}
