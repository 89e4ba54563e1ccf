import { DOM0, parseQubeName, type QubeName } from '../model/names.ts'
import { parseSelector } from '../model/selector.ts'
import { splitLine, type Word } from './line-words.ts'
import { DEFAULT_OPTIONS, OPTIONS, parseValue, type RuleOptions, valuesOf } from './options.ts'
import { ACTIONS, type Action, ANY, NONE, type Rule, type RuleTerms } from './rule.ts'

/** What is wrong with a file of rules; in the file as a whole where there is no line. */
export interface RuleProblem {
  /** Absolute path. */
  file: string
  /** From 1; null: it is about the file. */
  line: number | null
  /** From 1, in characters: where the word at fault begins. */
  column: number | null
  message: string
  hint: string | null
}

/** More than anybody writes by hand. */
export const RULES_LIMIT = 1000
/** The first problems tell enough. */
const PROBLEMS_LIMIT = 50

const SHAPE = 'A rule is: DEVICE BACKEND FRONTEND ACTION [OPTION=VALUE…], as in: 1050:0407 * vault allow'

/** Takes in what is wrong with one line. */
type Complain = (column: number, message: string, hint: string | null) => void

/**
 * Reads a file of rules, one a line. Where there is a problem the rules are those of the other lines: for showing, not
 * for acting.
 * @param text the file's content; any text
 * @param file its path, for messages
 */
export function parseRules(text: string, file: string): { rules: Rule[]; problems: RuleProblem[] } {
  const rules: Rule[] = []
  const problems: RuleProblem[] = []
  for (const [i, source] of text.split('\n').entries()) {
    const line = i + 1
    const complain: Complain = (column, message, hint) => {
      problems.push({ file, line, column, message, hint })
    }
    const terms = parseLine(source, complain)
    if (terms !== undefined) rules.push({ ...terms, file, line, source })
    if (rules.length > RULES_LIMIT) complain(1, `there are more than ${RULES_LIMIT} rules`, null)
    if (rules.length > RULES_LIMIT || problems.length >= PROBLEMS_LIMIT) break
  }
  return { rules, problems: problems.slice(0, PROBLEMS_LIMIT) }
}

/** @returns undefined for a line without a rule, and for one that was complained of */
function parseLine(source: string, complain: Complain): RuleTerms | undefined {
  const words = splitLine(source)
  if ('message' in words) {
    complain(words.column, words.message, words.hint)
    return undefined
  }
  if (words.length === 0) return undefined
  return readTerms(words, complain, [...source.trimEnd()].length + 1)
}

/**
 * Reads the words of a rule.
 * @param end the column after the last word, where a missing one would stand
 * @returns undefined where it complained
 */
function readTerms(words: readonly Word[], complain: Complain, end: number): RuleTerms | undefined {
  let sound = true
  const fault: Complain = (column, message, hint) => {
    sound = false
    complain(column, message, hint)
  }
  const [deviceWord, backendWord, frontendWord, actionWord, ...optionWords] = words
  if (!deviceWord || !backendWord || !frontendWord || !actionWord) {
    const missing = ['device', 'backend', 'frontend', 'action'][words.length]
    fault(end, `the rule ends before its ${missing}`, SHAPE)
    return undefined
  }
  const { device, backend: placed } = readDevice(deviceWord, fault)
  const column = backendWord.text === ANY ? null : readQube(backendWord, 'backend', fault)
  if (placed !== null && column !== null && placed !== column) {
    fault(
      backendWord.column,
      `the device is one of ${placed}, and the backend is ${column}`,
      'Write one of them.',
    )
  }
  const backend = placed ?? column
  const action = readAction(actionWord, fault)
  const frontend = readFrontend(frontendWord, backend, action, fault)
  const options = readOptions(optionWords, fault)
  if (!sound || action === undefined) return undefined
  return { deviceText: deviceWord.text, device, backend, frontend, action, options }
}

function readDevice(word: Word, fault: Complain): Pick<RuleTerms, 'device' | 'backend'> {
  if (word.text === ANY) return { device: null, backend: null }
  const parsed = parseSelector(word.text)
  if ('problem' in parsed) {
    fault(word.column, parsed.problem, parsed.hint)
    return { device: null, backend: null }
  }
  return { device: parsed.selector, backend: parsed.backend ?? null }
}

function readQube(word: Word, role: 'backend' | 'frontend', fault: Complain): QubeName | null {
  const name = parseQubeName(word.text)
  if (name !== undefined) return name
  const any = role === 'backend' && /^@any/.test(word.text)
  const hint = any
    ? 'Write * for any backend.'
    : `A ${role} is named by its name: letters, digits, "_", "." and "-", a letter first, at most 31${role === 'backend' ? '; * is any' : '; @none is nobody'}.`
  fault(word.column, `${show(word)} cannot be the name of a ${role} qube`, hint)
  return null
}

function readAction(word: Word, fault: Complain): Action | undefined {
  const action = ACTIONS.find((known) => known === word.text)
  if (action === undefined)
    fault(word.column, `there is no action ${show(word)}`, 'It is allow, ask or deny.')
  return action
}

function readFrontend(
  word: Word,
  backend: QubeName | null,
  action: Action | undefined,
  fault: Complain,
): QubeName | null {
  if (word.text === NONE) {
    if (action !== 'deny') {
      fault(
        word.column,
        `${NONE} gets nothing, so there is nothing to ${action ?? 'do'}`,
        `Name a qube, or deny.`,
      )
    }
    return null
  }
  const name = readQube(word, 'frontend', fault)
  if (name === DOM0) {
    fault(
      word.column,
      'a USB device is never attached to dom0',
      'A device attached to dom0 could take over the whole system.',
    )
  }
  if (name !== null && name === backend) {
    fault(word.column, `${name} has the device already: it is its own USB qube`, 'Name another qube.')
  }
  return name
}

function readOptions(words: readonly Word[], fault: Complain): RuleOptions {
  const found = new Map<keyof RuleOptions, boolean | number>()
  for (const word of words) {
    const equals = word.text.indexOf('=')
    const name = equals < 0 ? word.text : word.text.slice(0, equals)
    const option = OPTIONS.find((known) => known.name === name)
    if (option === undefined) {
      const names = OPTIONS.map((known) => known.name).join(', ')
      fault(word.column, `there is no option ${show({ ...word, text: name })}`, `There are ${names}.`)
      continue
    }
    const value = equals < 0 ? undefined : parseValue(option, word.text.slice(equals + 1))
    if (value === undefined) {
      const at = equals < 0 || word.quoted ? word.column : word.column + equals + 1
      fault(
        at,
        `${name} takes ${valuesOf(option)}`,
        `For example: ${name}=${option.values.kind === 'switch' ? 'yes' : 5}`,
      )
    } else if (found.has(option.field)) {
      fault(word.column, `${name} is said twice`, 'Say it once.')
    } else found.set(option.field, value)
  }
  const options: RuleOptions = { ...DEFAULT_OPTIONS, ...Object.fromEntries(found) }
  if (options.start && options.whenRunning) {
    const at = words.find((word) => word.text.startsWith('when-running='))?.column ?? 1
    fault(at, 'start=yes and when-running=yes contradict each other', 'Say one of them.')
  }
  return options
}

/** A word in a message. */
function show(word: Word): string {
  return `"${word.text.length > 60 ? `${word.text.slice(0, 60)}…` : word.text}"`
}
