import { QusbError } from '../errors.ts'
import { formatVidPid } from '../model/identity.ts'
import type { Attachment, ListedDevice } from '../passthrough/results.ts'
import { findAlike, holderWords, namedKindWords, noteWords, placeWords } from './device-words.ts'
import { cutToWidth, displayWidth } from './display-width.ts'
import { type Column, fitColumns } from './table.ts'
import { describeTerminal, plain, type Terminal } from './terminal.ts'

/** Room that the question's own marks take at the left of a choice, columns. */
const MARKS = 4

/**
 * Asks which device.
 * @returns the one chosen
 * @throws QusbError INTERRUPTED
 */
export async function chooseDevice<D extends ListedDevice>(
  devices: readonly D[],
  signal?: AbortSignal,
): Promise<D> {
  const terminal = describeTerminal(process.stderr, process.env)
  const alike = findAlike(devices)
  const rows = devices.map((device) => [
    placeWords(device),
    formatVidPid(device),
    namedKindWords(device) + (alike(device) && device.serial !== null ? `, serial ${device.serial}` : ''),
    [holderWords(device).text, ...noteWords(device)].filter((words) => words !== '').join(', '),
  ])
  return await ask(
    'select',
    'Which device?',
    alignRows(rows, 2, terminal).map((name, i) => ({ name, short: rows[i]?.[0], value: devices[i] as D })),
    signal,
  )
}

/**
 * Asks which qube gets it.
 * @throws QusbError INTERRUPTED
 */
export async function chooseFrontend<N extends string>(
  names: readonly N[],
  signal?: AbortSignal,
): Promise<N> {
  return await ask(
    'select',
    'To which qube?',
    names.map((name) => ({ name, value: name })),
    signal,
  )
}

/**
 * Asks which attachments, any number of them.
 * @returns those chosen, perhaps none
 * @throws QusbError INTERRUPTED
 */
export async function chooseAttachments<A extends Omit<Attachment, 'since'>>(
  attachments: readonly A[],
  signal?: AbortSignal,
): Promise<A[]> {
  const terminal = describeTerminal(process.stderr, process.env)
  const rows = attachments.map((each) => [
    placeWords(each),
    formatVidPid(each),
    each.description,
    `in ${each.frontend}`,
  ])
  return await ask(
    'checkbox',
    'Which are to be detached?',
    alignRows(rows, 2, terminal).map((name, i) => ({
      name,
      short: rows[i]?.[0],
      value: attachments[i] as A,
      // The only one is what is meant.
      checked: rows.length === 1,
    })),
    signal,
  )
}

/**
 * Asks yes or no; no is what Enter says.
 * @returns false also when the time is over, or the signal ends the question
 */
export async function confirm(
  { text, timeoutMs }: { text: string; timeoutMs: number },
  signal: AbortSignal,
): Promise<boolean> {
  const terminal = describeTerminal(process.stderr, process.env)
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const { default: inquirer } = await import('inquirer')
  const prompt = inquirer.createPromptModule({ output: process.stderr, signal: limit })
  try {
    const message = plain(text, terminal)
    const { answer } = await prompt([{ type: 'confirm', name: 'answer', message, default: false }])
    return answer === true
  } catch (error) {
    if (limit.aborted) return false
    if (error instanceof Error && error.name === 'ExitPromptError') throw interrupted(error)
    throw error
  }
}

/**
 * Columns of equal width, as wide as the terminal has room for.
 * @param elastic the column that is cut where there is no room
 */
export function alignRows(rows: readonly string[][], elastic: number, terminal: Terminal): string[] {
  const texts = rows.map((row) => row.map((text) => plain(text, terminal)))
  const natural = (texts[0] ?? []).map((_, i) => Math.max(...texts.map((row) => displayWidth(row[i] ?? ''))))
  const columns = natural.map((_, i): Column => ({ title: '', ...(i === elastic ? { least: 12 } : {}) }))
  const widths = fitColumns(columns, natural, terminal.width - MARKS)
  return texts.map((row) =>
    row
      .map((text, i) => {
        const cut = cutToWidth(text, widths[i] ?? 0, terminal.unicode)
        return cut + ' '.repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(cut)))
      })
      .join('  ')
      .trimEnd(),
  )
}

/** Puts one question on stderr, so that stdout carries the result alone. */
async function ask<T>(
  type: 'select' | 'checkbox',
  message: string,
  choices: { name: string; value: unknown; short?: string | undefined; checked?: boolean }[],
  signal: AbortSignal | undefined,
): Promise<T> {
  // Loaded when there is a question, which is seldom: it costs more than the rest of a run.
  const { default: inquirer } = await import('inquirer')
  const prompt = inquirer.createPromptModule({
    output: process.stderr,
    ...(signal === undefined ? {} : { signal }),
  })
  // At the end of input the question never settles, and Node would leave with 0 as if all were well.
  let onEnd = (): void => {}
  const end = new Promise<never>((_, reject) => {
    onEnd = () => reject(interrupted(undefined))
    process.once('beforeExit', onEnd)
  })
  try {
    const answers = await Promise.race([
      prompt([{ type, name: 'answer', message, choices, pageSize: 12, required: true }]),
      end,
    ])
    return answers.answer as T
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    if (error instanceof Error && /^(Exit|Abort|Cancel)PromptError$/.test(error.name))
      throw interrupted(error)
    throw error
  } finally {
    process.removeListener('beforeExit', onEnd)
  }
}

function interrupted(cause: unknown): QusbError {
  return new QusbError('INTERRUPTED', 'interrupted at a question: nothing was done', { cause })
}
