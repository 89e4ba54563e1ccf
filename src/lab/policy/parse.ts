import * as z from 'zod/mini'

/** One line of a policy file. */
export interface PolicyLine {
  readonly file: string
  readonly line: number
  /** `*` or a name. */
  readonly service: string
  /** `*` or `+argument`. */
  readonly argument: string
  readonly source: string
  readonly target: string
  readonly action: 'allow' | 'ask' | 'deny'
  readonly options: Readonly<Record<string, string>>
}

/** A policy that cannot be read: as with the real one, every call is denied then. */
export class PolicySyntaxError extends Error {
  constructor(file: string, line: number, what: string) {
    super(`${file}:${line}: ${what}`)
    this.name = 'PolicySyntaxError'
  }
}

const ACTIONS = ['allow', 'ask', 'deny'] as const
const actionSchema = z.enum(ACTIONS)
const NAME = /^[A-Za-z0-9._-]+$/
const PARTY = /^(\*|@anyvm|@adminvm|dom0|@dispvm|@default|[A-Za-z][A-Za-z0-9_.-]*|uuid:[0-9a-f-]+)$/
/** Options by action, as the format's specification lists them. */
const OPTIONS: Record<PolicyLine['action'], readonly string[]> = {
  allow: ['user', 'target', 'notify', 'autostart'],
  ask: ['user', 'target', 'default_target', 'notify', 'autostart'],
  deny: ['notify'],
}

/**
 * Parses one file in the current format (Qubes documentation, "New qrexec policy format").
 * @throws PolicySyntaxError at the first line that is wrong, and for what the lab does not do (tags, includes)
 */
export function parsePolicy(file: string, text: string): readonly PolicyLine[] {
  return text.split('\n').flatMap((raw, index) => {
    const content = raw.trim()
    if (content === '' || content.startsWith('#')) return []
    return [parseLine(file, index + 1, content)]
  })
}

function parseLine(file: string, line: number, content: string): PolicyLine {
  const fail = (what: string): never => {
    throw new PolicySyntaxError(file, line, what)
  }
  if (content.startsWith('!')) fail(`${content.split(/\s/)[0]} is not supported in the lab`)
  const words = content.split(/\s+/)
  if (words.length < 5) fail('wrong number of fields')
  const [service = '', argument = '', source = '', target = '', actionWord = '', ...rest] = words
  if (service !== '*' && !NAME.test(service)) fail(`invalid service ${service}`)
  if (argument !== '*' && !/^\+[A-Za-z0-9+._-]*$/.test(argument)) fail(`invalid argument ${argument}`)
  for (const party of [source, target]) {
    if (!PARTY.test(party)) fail(`invalid or unsupported qube ${party}`)
  }
  if (service === '*' && argument !== '*') fail('only the argument * goes with the service *')
  // Policy is not asked about calls from dom0.
  if (['@default', '@dispvm', '@adminvm', 'dom0'].includes(source)) fail(`${source} cannot be a source`)
  const action = actionSchema.safeParse(actionWord)
  if (!action.success) return fail(`invalid action ${actionWord}`)
  const options = parseOptions(action.data, rest, fail)
  if (target === '@default' && action.data === 'allow' && options.target === undefined) {
    fail('allow for @default needs target=')
  }
  return { file, line, service, argument, source, target, action: action.data, options }
}

function parseOptions(
  action: PolicyLine['action'],
  words: readonly string[],
  fail: (what: string) => never,
): Readonly<Record<string, string>> {
  const options: Record<string, string> = {}
  for (const word of words) {
    const at = word.indexOf('=')
    const [name, value] = [word.slice(0, Math.max(at, 0)), word.slice(at + 1)]
    if (at <= 0 || !OPTIONS[action].includes(name)) fail(`invalid option ${word} for ${action}`)
    if (name in options) fail(`option ${name} twice`)
    if ((name === 'notify' || name === 'autostart') && value !== 'yes' && value !== 'no')
      fail(`invalid option ${word}`)
    if (value === '') fail(`empty option ${name}`)
    options[name] = value
  }
  return options
}
