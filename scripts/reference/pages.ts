import { join } from 'node:path'
import { CHECKS } from '../../src/lib/doctor/checks.ts'
import { namedDeviceSchema } from '../../src/lib/model/alias-record.ts'
import { attachmentRecordSchema } from '../../src/lib/model/attachment.ts'
import { historyEventSchema } from '../../src/lib/model/event.ts'
import type { Ending } from '../../src/lib/passthrough/reconcile.ts'
import { ATTACH_STEPS, DETACH_STEPS } from '../../src/lib/passthrough/steps.ts'
import { RULE_FILE_LIMIT } from '../../src/lib/rules/load.ts'
import { OPTIONS, valuesOf } from '../../src/lib/rules/options.ts'
import { RULES_LIMIT } from '../../src/lib/rules/parse.ts'
import { ACTIONS, type Action } from '../../src/lib/rules/rule.ts'
import { configFileSchema, DEFAULT_CONFIG } from '../../src/lib/site/config.ts'
import { QUBES_OS, siteFileSchema } from '../../src/lib/site/site.ts'
import { describeErrors } from './error-words.ts'
import { ALIAS_WORDS, CONFIG_WORDS, EVENT_WORDS, RECORD_WORDS, SITE_WORDS } from './field-words.ts'
import { describeFields, type Field } from './fields.ts'
import { fillPage, head, macroText, text } from './mdoc.ts'

const ACTION_WORDS: Readonly<Record<Action, string>> = {
  allow: 'Attach it.',
  ask: 'Ask first, on the terminal or on the desktop; no answer is no.',
  deny: 'Leave it alone, and look at no further rule. By hand it can still be attached.',
}

const ATTACH_WORDS: Readonly<Record<(typeof ATTACH_STEPS)[number], string>> = {
  'lock-device':
    'What an earlier qusb left open is settled. Nobody else works on this port meanwhile; who comes second is told who is first. Where the words do not say which port it is, only the choice tells, and the lock comes after it.',
  'lock-frontend':
    'Attaches to one frontend go one after the other. Where another is under way, the lock comes after the choice, and what was seen before the wait is looked at once more.',
  survey:
    'The backends and the frontend are asked at the same time, each by one call that reads and changes nothing and has a limit on time and size.',
  choose:
    'The selector must name exactly one device. Guards look whether dom0 types or points with it, whether it is in use in the backend, and whether it is a hub or hidden on purpose: any of these is a refusal, unless --force is said. Rules of policy and of qubesd that deny are heeded.',
  'clear-stale': 'A state file that an earlier attach of this very place left in the frontend is removed.',
  'write-intent': 'From here on the state file tells what is meant, whatever becomes of qusb.',
  grant: 'One line of policy lets this frontend use this port of this backend.',
  'call-attach': "The frontend's USB proxy is called, and calls that of the backend.",
  revoke: 'The grant goes, on success, on failure, on a time-out and on a signal.',
  'look-again':
    'Both sides are asked once more. Bus and device number, identity and holder must be those that were chosen; the exit code of the call is not believed. Anything else is taken back, and you are told that the frontend was exposed to it.',
  record: 'It is attached, and the history says so.',
}

const DETACH_WORDS: Readonly<Record<(typeof DETACH_STEPS)[number], string>> = {
  'lock-device':
    'What was left open is settled. Nobody else works on this port meanwhile. Where the words do not say which port it is, the lock comes after the choice.',
  survey: 'The backends are asked, and at the same time the frontend that has it by the state file.',
  choose: 'A frontend that is named must be the one that has the device.',
  'write-intent': 'From here on the state file tells what is meant.',
  'call-detach':
    'What was not seen under the lock, or not just now, is looked at. An attach that is still under way is let come to its end first. Where the frontend answers and the backend says that it has the device, the frontend detaches; else the backend closes the connection.',
  'await-release':
    'The backend waits until nobody has it any more, up to about a second, gives it back to its normal driver, and says so.',
  'give-back': 'Where the device is not on its normal driver in the backend yet, it is given back.',
  'forget-import':
    'The frontend keeps no state file of it. Where it does not answer, that is done when it does.',
  record: 'The device is free, and the history says so.',
}

const ENDING_WORDS: Readonly<Record<Ending, string>> = {
  reboot: 'dom0 was booted again.',
  restart: 'One of the two qubes was halted or started again.',
  suspend:
    'The machine slept: the proxy closes every connection then. It is not attached again by itself, unless a rule says so and qusb watch --auto runs, or qubesd has an assignment.',
  unplug: 'The device was pulled out, or is another one by now.',
  'other-tool': 'Another tool, such as qvm-usb or the widget, or a qube itself ended it.',
}

function fieldList(fields: readonly Field[]): string[] {
  return fields.flatMap(({ name, meaning, value, nullable, default: usual }) => [
    `.It Li ${macroText(name)}`,
    ...text(meaning),
    ...(value === undefined ? [] : text(`It is ${value}.`)),
    ...(nullable ? text('It may be null.') : []),
    ...(usual === undefined ? [] : ['The default is', `.Li ${macroText(usual)} .`]),
  ])
}

function steps<Step extends string>(order: readonly Step[], words: Readonly<Record<Step, string>>): string[] {
  return order.flatMap((step) => [`.It Em ${macroText(step.replaceAll('-', ' '))}`, ...text(words[step])])
}

/** Pages on files and on how it works: written by hand but for their lists, by the name of the page. */
const PAGES: Readonly<Record<string, () => Record<string, string[]>>> = {
  'qusb.rules.5': () => ({
    '@ACTIONS@': ACTIONS.flatMap((action) => [`.It Cm ${action}`, ...text(ACTION_WORDS[action])]),
    '@OPTIONS@': OPTIONS.flatMap((option) => {
      const usual = option.values.kind === 'switch' ? (option.default ? 'yes' : 'no') : option.default
      return [
        `.It Li ${macroText(`${option.name}=`)} Ns Ar ${option.values.kind === 'switch' ? 'yes|no' : 'number'}`,
        ...text(`${option.meaning} The value is ${valuesOf(option)}; the default is ${usual}.`),
      ]
    }),
    '@LIMITS@': text(
      `There are at most ${RULES_LIMIT} rules, and a file has at most ${RULE_FILE_LIMIT / 1024} KiB.`,
    ),
  }),
  'qusb.json.5': () => ({
    '@CONFIG@': fieldList(describeFields(configFileSchema(), CONFIG_WORDS, 'input', DEFAULT_CONFIG)),
    '@SITE@': fieldList(describeFields(siteFileSchema(), SITE_WORDS, 'input', QUBES_OS)),
    '@ALIAS@': fieldList(describeFields(namedDeviceSchema(), ALIAS_WORDS, 'output')),
    '@RECORD@': fieldList(describeFields(attachmentRecordSchema, RECORD_WORDS, 'output')),
    '@EVENT@': fieldList(describeFields(historyEventSchema, EVENT_WORDS, 'output')),
  }),
  'qusb.7': () => ({
    '@ATTACH@': steps(ATTACH_STEPS, ATTACH_WORDS),
    '@DETACH@': steps(DETACH_STEPS, DETACH_WORDS),
    '@ENDINGS@': Object.entries(ENDING_WORDS).flatMap(([ending, words]) => [
      `.It Li ${macroText(ending)}`,
      ...text(words),
    ]),
    '@ERRORS@': describeErrors().flatMap(({ code, exitCode, means, remedy }) => [
      `.It ${code} Pq ${exitCode}`,
      ...text(means),
      ...text(remedy),
    ]),
    '@CHECKS@': CHECKS.flatMap(({ id, title, about }) => [
      `.It ${macroText(title)} Pq Li ${macroText(id)}`,
      ...text(about),
    ]),
  }),
}

/**
 * The pages beside those of commands.
 * @param read gives the template of a page, by its file's name in scripts/reference
 * @returns each by its path
 */
export function renderOtherPages(read: (file: string) => string, date: string): [string, string][] {
  return Object.entries(PAGES).map(([page, lists]) => {
    const [, name = '', section] = /^(.*)\.(\d)$/.exec(page) ?? []
    return [
      join('man', page),
      fillPage(read(`${page}.mdoc`), { '@HEAD@': head(name, date, Number(section)), ...lists() }),
    ]
  })
}
