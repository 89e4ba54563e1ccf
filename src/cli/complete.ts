import { writeSync } from 'node:fs'
import { splitLine } from '../lib/completion/split-line.ts'
import { readVocabulary } from '../lib/completion/vocabulary.ts'
import { type Candidate, findWanted } from '../lib/completion/wanted.ts'
import { type Answer, renderCandidates, renderForBash } from '../lib/view/completion.ts'
import { describeTerminal } from '../lib/view/terminal.ts'

/** A person who pressed TAB waits no longer for what others have to tell, ms. */
const LIMIT_MS = 300

/** bash's COMP_TYPE where it lists the words and inserts none: `?`, `!`, `@` (bash(1)). */
const LISTING = new Set(['63', '33', '64'])

/**
 * Answers a shell's function: what may stand where the cursor is. Says nothing else, whatever happens, and is over in
 * time: what is not known by then is left out.
 * @param args `bash COMP_TYPE COMP_WORDBREAKS LINE`, or `zsh|fish WORD… CURRENT`; the line and the words up to the cursor
 * @param root the directory of oclif.manifest.json
 */
export async function complete(args: readonly string[], root: string): Promise<never> {
  const ended = new AbortController()
  const candidates: Candidate[] = []
  let shell: Answer['shell'] = null
  let prefix = ''
  const [name, ...rest] = args
  const bash = name === 'bash' ? readBash(rest) : undefined
  const words = bash?.words ?? rest.slice(0, -1)
  const current = bash?.current ?? rest.at(-1) ?? ''

  const answer = (): never => {
    try {
      const screen = describeTerminal({ isTTY: true }, process.env)
      const all = candidates.map((each) => ({ ...each, value: prefix + each.value }))
      const told = { candidates: all, shell }
      writeSync(1, bash === undefined ? renderCandidates(told, screen) : renderForBash(told, bash, screen))
    } catch {
      // Who asked is gone.
    }
    // Whatever is still being asked is given up with us.
    ended.abort()
    process.exit(0)
  }
  process.once('uncaughtException', answer)
  setTimeout(answer, LIMIT_MS)
  try {
    // With the name of the command alone nothing else has been said yet.
    const aliases = words.length > 1 ? (await import('./complete-live.ts')).aliasNames() : new Set<string>()
    const wanted = findWanted(readVocabulary(root), words, current, aliases)
    shell = wanted.shell
    prefix = wanted.prefix
    candidates.push(...wanted.known)
    if (wanted.live !== null) {
      const { askSite } = await import('./complete-live.ts')
      await askSite(wanted.live, current.slice(prefix.length), ended.signal, (more) =>
        candidates.push(...more),
      )
    }
  } catch {
    // A prompt is no place for an error.
  }
  return answer()
}

function readBash([type = '', breaks = '', line = '']: readonly string[]): {
  words: string[]
  current: string
  breaks: string
  lists: boolean
} {
  const { words, current, quoted } = splitLine(line)
  return { words: words.slice(1), current, breaks: quoted ? '' : breaks, lists: LISTING.has(type) }
}
