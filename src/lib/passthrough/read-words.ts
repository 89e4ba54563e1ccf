import { QusbError } from '../errors.ts'
import { parseAliasName } from '../model/alias.ts'
import { DOM0, parseQubeName } from '../model/names.ts'
import { listQrexecSockets } from '../qubes/qrexec.ts'
import { readAliases } from '../store/aliases.ts'
import type { Context } from './context.ts'
import { type FirstWord, parseWords, type Words } from './words.ts'

/**
 * Reads the words as `parseWords` does, by the aliases and qubes that there are.
 * @param typed the arguments in their order; those that were left out are undefined
 * @throws QusbError USAGE; AMBIGUOUS; NOT_FOUND for a first word that is nothing; STORE when it takes the file of aliases to tell, and that cannot be used
 */
export async function readWords(context: Context, typed: readonly (string | undefined)[]): Promise<Words> {
  const words = typed.filter((word) => word !== undefined)
  const [first] = words
  const mayBeAlias = first !== undefined && parseAliasName(first) !== undefined
  if (!mayBeAlias) return parseWords(words, { isAlias: false, isQube: false })
  const known = await lookUp(context, first)
  if (!known.isAlias && !known.isQube && words.length < 3) {
    throw new QusbError('NOT_FOUND', `"${first}" is neither an alias nor a qube`, {
      hint: 'See the aliases: qusb alias list. qvm-ls lists the qubes.',
    })
  }
  return parseWords(words, known)
}

/** What a word is, as far as anybody knows: without qubesd, a qube that does not run may be one. */
async function lookUp({ site, directory }: Context, word: string): Promise<FirstWord> {
  const name = parseQubeName(word)
  const runs = name !== undefined && (name === DOM0 || listQrexecSockets(site).has(name))
  let isAlias = false
  try {
    isAlias = readAliases(site).some((alias) => alias.name === word)
  } catch (error) {
    // A file of aliases that cannot be used must not keep anybody from the devices of a qube that is there.
    if (!runs) throw error
  }
  if (name === undefined || runs) return { isAlias, isQube: runs }
  const qubes = await directory.qubes()
  return { isAlias, isQube: qubes?.has(name) ?? !isAlias }
}
