import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { QubeName } from '../model/names.ts'
import type { Port } from '../model/port.ts'
import type { Site } from '../site/site.ts'

/** A call that a grant would allow. */
export interface GuardedCall {
  caller: QubeName | `${QubeName}-dm`
  backend: QubeName
  port: Port
}

/** Where a rule stands. */
export interface RulePlace {
  file: string
  line: number
}

/** Files that sort before this are read before a grant, whatever its number. */
const GRANT_PREFIX = '34-qusb'
const FILE_LIMIT = 1024 * 1024
const FILES_LIMIT = 1000
/** The program is Python: its start alone may take a while on a busy dom0, ms. */
const EVALUATE_MS = 10_000

/**
 * A rule of the user's that denies this call. One that sorts before a grant wins by itself, and without a word; one
 * that sorts later would lose, though the user meant it (docs/facts.md#order-of-files). A catch-all that sorts later is
 * no word about USB.
 * @returns undefined where there is none, or where `qrexec-policy-exec`, which knows tags and includes, says allow
 */
export async function findDenyRule(site: Site, call: GuardedCall): Promise<RulePlace | undefined> {
  const rule = findFirstRule(readPolicy(site), call)
  if (rule === undefined || rule.action !== 'deny') return undefined
  return (await isAllowed(site, call)) ? undefined : { file: rule.file, line: rule.line }
}

/** More rules than these are not looked at one by one: each may cost a start of `qrexec-policy-exec`. */
const MOST_RULES = 20

/**
 * The same for many calls at once.
 * @returns each rule once, with the calls that it denies
 */
export async function findDenyRules(
  site: Site,
  calls: readonly GuardedCall[],
): Promise<(RulePlace & { calls: readonly GuardedCall[] })[]> {
  const policy = readPolicy(site)
  const rules = new Map<string, RulePlace & { calls: GuardedCall[] }>()
  for (const call of calls) {
    const rule = findFirstRule(policy, call)
    if (rule === undefined || rule.action !== 'deny') continue
    const key = `${rule.file}:${rule.line}`
    const known = rules.get(key)
    if (known !== undefined) known.calls.push(call)
    else if (rules.size < MOST_RULES) rules.set(key, { file: rule.file, line: rule.line, calls: [call] })
  }
  const found = [...rules.values()]
  const allowed = await Promise.all(
    found.map(async ({ calls: [first] }) => first !== undefined && (await isAllowed(site, first))),
  )
  return found.filter((_, i) => allowed[i] !== true)
}

interface FoundRule extends RulePlace {
  action: string
}

interface PolicyFile {
  name: string
  file: string
  lines: string[]
}

function readPolicy(site: Site): PolicyFile[] {
  return listPolicyFiles(site).map(({ name, file }) => ({ name, file, lines: readPolicyFile(file) ?? [] }))
}

function findFirstRule(policy: readonly PolicyFile[], call: GuardedCall): FoundRule | undefined {
  for (const { name, file, lines } of policy) {
    const isBefore = name < GRANT_PREFIX
    for (const [i, line] of lines.entries()) {
      const action = matchRule(line, call, isBefore)
      if (action !== undefined) return { file, line: i + 1, action }
    }
  }
  return undefined
}

/** All that counts, in the order in which it is read; a name in an earlier directory shadows the same in a later one. */
export function listPolicyFiles(site: Site): { name: string; file: string }[] {
  const files = new Map<string, string>()
  for (const directory of site.policyReadDirs) {
    let names: string[]
    try {
      names = readdirSync(directory)
    } catch {
      continue
    }
    for (const name of names) {
      if (name.endsWith('.policy') && !name.startsWith('.') && !files.has(name))
        files.set(name, join(directory, name))
    }
  }
  return [...files]
    .map(([name, file]) => ({ name, file }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, FILES_LIMIT)
}

/** @returns its lines; undefined for what cannot be read, or is no policy file by its size */
export function readPolicyFile(file: string): string[] | undefined {
  let fd: number | undefined
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(fd)
    return stat.isFile() && stat.size <= FILE_LIMIT ? readFileSync(fd, 'utf8').split('\n') : undefined
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** @returns the action of a line that is about this call; undefined for any other line */
function matchRule(line: string, call: GuardedCall, catchAll: boolean): string | undefined {
  const [service, argument, source, target, action] = line.trim().split(/\s+/)
  if (service === undefined || service.startsWith('#') || service.startsWith('!')) return undefined
  if (service !== 'qubes.USB' && !(catchAll && service === '*')) return undefined
  if (argument !== '*' && argument !== `+${call.port}`) return undefined
  return mayBe(source, call.caller) && mayBe(target, call.backend) ? action : undefined
}

/** Tags and types only qubesd knows: they may be meant, and `qrexec-policy-exec` decides. */
function mayBe(token: string | undefined, name: string): boolean {
  return token === name || token === '@anyvm' || token === '*' || /^@(tag|type):/.test(token ?? '')
}

async function isAllowed(site: Site, call: GuardedCall): Promise<boolean> {
  if (!existsSync(site.policyExec)) return false
  // Few attaches come here, and none should load it for nothing.
  const { execa } = await import('execa')
  const result = await execa(
    site.policyExec,
    ['--assume-yes-for-ask', '--just-evaluate', call.caller, call.backend, `qubes.USB+${call.port}`],
    {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
      reject: false,
      timeout: EVALUATE_MS,
      killSignal: 'SIGKILL',
      extendEnv: false,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    },
  )
  return result.exitCode === 0
}
