import { QusbError } from '../errors.ts'
import { parseQubeName, type QubeName } from '../model/names.ts'
import { parseSelector, type Selector, standsAlone } from '../model/selector.ts'

/** What the words of attach, detach, move, run and info say; what is not said is undefined. */
export interface Words {
  backend: QubeName | undefined
  selector: Selector | undefined
  frontend: QubeName | undefined
}

/** What is known of a word that may be a device's alias as well as a qube's name. */
export interface FirstWord {
  isAlias: boolean
  isQube: boolean
}

/**
 * Reads up to three words: BACKEND DEVICE FRONTEND, DEVICE FRONTEND where the device stands alone or is an alias, else
 * BACKEND DEVICE. Pure.
 * @throws QusbError USAGE naming the word that is wrong; AMBIGUOUS for an alias that is a qube's name
 */
export function parseWords(words: readonly string[], known: FirstWord): Words {
  const [first, second, third] = words
  if (first === undefined) return { backend: undefined, selector: undefined, frontend: undefined }
  // No qube's name has a colon: what is wrong with the device is told.
  if (first.includes(':') || standsAlone(first) || isMeantAsAlias(words, known)) {
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
    throw otherBackend(second, backend)
  }
  return {
    backend,
    selector: placed.selector,
    frontend: third === undefined ? undefined : readQube(third, 'frontend'),
  }
}

/** A device that names a backend, after another one. */
export function otherBackend(device: string, backend: QubeName): QusbError {
  return new QusbError('USAGE', `"${device}" names another backend than ${backend}`, {
    hint: 'Name the backend once: BACKEND DEVICE, or BACKEND:DEVICE.',
  })
}

/**
 * Whether the first word is an alias. Where it is a qube's name too, other words may still tell which is meant.
 * @throws QusbError AMBIGUOUS where they do not
 */
function isMeantAsAlias([first, second, third]: readonly string[], { isAlias, isQube }: FirstWord): boolean {
  if (!isAlias || !isQube) return isAlias
  const mayBeFrontend = second === undefined || parseQubeName(second) !== undefined
  if (third !== undefined || !mayBeFrontend) return false
  throw new QusbError('AMBIGUOUS', `"${first}" is an alias of a device, and there is a qube of that name`, {
    hint: `Say it in three words (BACKEND DEVICE FRONTEND), or give the alias another name: qusb alias list`,
    candidates: [
      { selector: `${first} DEVICE`, description: `a device of the qube ${first}` },
      { selector: `BACKEND ${first}`, description: 'the device of that alias' },
    ],
  })
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
