import { QusbError } from '../errors.ts'
import { parseQubeName, type QubeName } from '../model/names.ts'
import { parseSelector, type Selector, standsAlone } from '../model/selector.ts'

/** What the words of attach, detach and info say; what is not said is undefined. */
export interface Words {
  backend: QubeName | undefined
  selector: Selector | undefined
  frontend: QubeName | undefined
}

/**
 * Reads up to three words: BACKEND DEVICE FRONTEND, DEVICE FRONTEND where the device stands alone, else BACKEND DEVICE.
 * @throws QusbError USAGE naming the word that is wrong
 */
export function readWords(words: readonly string[]): Words {
  const [first, second, third] = words
  if (first === undefined) return { backend: undefined, selector: undefined, frontend: undefined }
  if (standsAlone(first)) {
    if (third !== undefined) {
      throw new QusbError('USAGE', `"${first}" says its device itself, so "${third}" is one word too many`, {
        hint: 'Write DEVICE FRONTEND, or BACKEND DEVICE FRONTEND.',
      })
    }
    const { backend, selector } = readSelector(first)
    return { backend, selector, frontend: second === undefined ? undefined : readQube(second, 'frontend') }
  }
  if (second === undefined && parseQubeName(first) === undefined) {
    const { selector } = readSelector(first)
    throw new QusbError('USAGE', `"${selector.text}" does not say which backend it is in`, {
      hint: `Write BACKEND ${selector.text}, or BACKEND:${selector.text}.`,
    })
  }
  const backend = readQube(first, 'backend')
  if (second === undefined) return { backend, selector: undefined, frontend: undefined }
  const placed = readSelector(second)
  if (placed.backend !== undefined && placed.backend !== backend) {
    throw new QusbError('USAGE', `"${second}" names another backend than ${backend}`)
  }
  return {
    backend,
    selector: placed.selector,
    frontend: third === undefined ? undefined : readQube(third, 'frontend'),
  }
}

function readSelector(text: string): { backend: QubeName | undefined; selector: Selector } {
  const parsed = parseSelector(text)
  if ('problem' in parsed) throw new QusbError('USAGE', parsed.problem, { hint: parsed.hint })
  return parsed
}

/**
 * A qube's name as the user typed it.
 * @throws QusbError USAGE
 */
export function readQube(text: string, role: 'backend' | 'frontend' | 'qube'): QubeName {
  const name = parseQubeName(text)
  if (name !== undefined) return name
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text
  if (text.endsWith('-dm')) {
    throw new QusbError('USAGE', `"${shown}" is the name of a stub domain`, {
      hint: `Name the qube itself: ${text.slice(0, -3)}.`,
    })
  }
  throw new QusbError(
    'USAGE',
    `"${shown}" cannot be the name of a ${role === 'qube' ? 'qube' : `${role} qube`}`,
    {
      hint: 'A qube is named by its name: letters, digits, "_", "." and "-", a letter first, at most 31.',
    },
  )
}
