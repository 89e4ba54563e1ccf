import { QusbError } from '../lib/errors.ts'
import { findAlike } from '../lib/model/alike.ts'
import { cleanText } from '../lib/model/text.ts'

/**
 * The error for words that begin with no command, with the command that they are most like.
 * @param typed all that was typed after the program's name
 * @param commands each as its words
 */
export function unknownCommand(
  typed: readonly string[],
  commands: readonly (readonly string[])[],
  cause?: unknown,
): QusbError {
  const [first = '', second] = typed
  const below = (topic: string): string[] =>
    commands.flatMap(([word, next]) => (word === topic && next !== undefined ? [next] : []))
  // What follows a command is none of its name; what follows a topic is.
  const named = below(first).length > 0 && second !== undefined ? `${first} ${second}` : first
  const word = findAlike(
    first,
    commands.map(([each = '']) => each),
  )
  const next = word === undefined || second === undefined ? undefined : findAlike(second, below(word))
  const meant = word === undefined ? undefined : [word, next].filter((each) => each !== undefined).join(' ')
  return new QusbError('USAGE', `there is no command "${cleanText(named, 100).text}"`, {
    hint:
      meant === undefined || meant === named.split(' ')[0]
        ? `${['qusb', ...(word === first ? [word] : [])].join(' ')} --help lists the commands.`
        : `Did you mean qusb ${meant}?`,
    cause,
  })
}
