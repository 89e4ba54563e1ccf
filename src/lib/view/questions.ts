import { QusbError } from '../errors.ts'
import type { Attachment, ListedDevice } from '../passthrough/results.ts'
import { findAlike, holderWords, kindWords, noteWords, placeWords } from './device-words.ts'
import { cutToWidth, displayWidth } from './display-width.ts'
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
    `${device.vendorId}:${device.productId}`,
    kindWords(device) + (alike(device) && device.serial !== null ? `, serial ${device.serial}` : ''),
    [holderWords(device).text, ...noteWords(device)].filter((words) => words !== '').join(', '),
  ])
  return await ask(
    'select',
    'Which device?',
    alignRows(rows, terminal).map((name, i) => ({ name, value: devices[i] as D })),
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
    `${each.vendorId}:${each.productId}`,
    each.description,
    `in ${each.frontend}`,
  ])
  return await ask(
    'checkbox',
    'Which are to be detached?',
    alignRows(rows, terminal).map((name, i) => ({ name, value: attachments[i] as A })),
    signal,
  )
}

/** Columns of equal width, cut to the terminal. */
export function alignRows(rows: readonly string[][], terminal: Terminal): string[] {
  const texts = rows.map((row) => row.map((text) => plain(text, terminal)))
  const widths = (texts[0] ?? []).map((_, i) => Math.max(...texts.map((row) => displayWidth(row[i] ?? ''))))
  return texts.map((row) => {
    const line = row.map((text, i) => text + ' '.repeat((widths[i] ?? 0) - displayWidth(text))).join('  ')
    return cutToWidth(line.trimEnd(), terminal.width - MARKS, terminal.unicode)
  })
}

/** Puts one question on stderr, so that stdout carries the result alone. */
async function ask<T>(
  type: 'select' | 'checkbox',
  message: string,
  choices: { name: string; value: unknown }[],
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
      prompt([{ type, name: 'answer', message, choices, pageSize: 12 }]),
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
