import type { Candidate } from '../completion/wanted.ts'
import { cutToWidth } from './display-width.ts'
import { plain, type Terminal } from './terminal.ts'

/** What a shell's function gets: candidates, or the word for what the shell completes itself. */
export interface Answer {
  candidates: readonly Candidate[]
  shell: 'files' | 'commands' | null
}

/** More than anybody reads. */
const MOST = 1000
const DESCRIPTION_WIDTH = 60

/** Nothing in it that any shell reads otherwise: values are inserted as they are. */
const SAFE_VALUE = /^[A-Za-z0-9_.:=+,-]+$/

/**
 * For zsh and fish, which show descriptions: a candidate a line, value and description with a tab between. What the
 * shell is to complete itself stands alone on the first line, after a tab.
 */
export function renderCandidates({ candidates, shell }: Answer, terminal: Terminal): string {
  if (shell !== null) return `\t${shell}\n`
  return choose(candidates)
    .map(({ value, description }) => `${value}\t${cut(description, terminal)}\n`)
    .join('')
}

/**
 * For bash, which replaces only what follows the last character at which it breaks words, and shows nothing but the
 * words: where it only lists them, each has its description behind it.
 * @param bash.current the word up to the cursor
 * @param bash.breaks the characters at which readline breaks the word, '' in quotes (COMP_WORDBREAKS)
 * @param bash.lists whether bash lists the words or inserts one (COMP_TYPE)
 */
export function renderForBash(
  { candidates, shell }: Answer,
  bash: { current: string; breaks: string; lists: boolean },
  terminal: Terminal,
): string {
  if (shell !== null) return `\t${shell}\n`
  const { current, breaks, lists } = bash
  const kept = 1 + Math.max(-1, ...[...breaks].map((character) => current.lastIndexOf(character)))
  const fitting = choose(candidates)
    .filter(({ value }) => value.startsWith(current))
    .map(({ value, description }) => ({ value: value.slice(kept), description: cut(description, terminal) }))
  const width = Math.max(0, ...fitting.map(({ value }) => value.length))
  return fitting
    .map(({ value, description }) =>
      lists && fitting.length > 1 && description !== ''
        ? `${value.padEnd(width)}  (${description})\n`
        : `${value}\n`,
    )
    .join('')
}

function choose(candidates: readonly Candidate[]): Candidate[] {
  const byValue = new Map<string, Candidate>()
  for (const candidate of candidates) {
    if (SAFE_VALUE.test(candidate.value) && !byValue.has(candidate.value))
      byValue.set(candidate.value, candidate)
  }
  return [...byValue.values()].slice(0, MOST)
}

function cut(description: string, terminal: Terminal): string {
  return cutToWidth(plain(description, terminal), DESCRIPTION_WIDTH, terminal.unicode)
}
