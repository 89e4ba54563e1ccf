import { readFileSync } from 'node:fs'
import vm from 'node:vm'
import { type Check, fault, orWell, warn, well } from '../check.ts'

/** The same as in package.json, `engines`. */
export const LEAST_NODE = '20.19.0'

export const nodeCheck: Check = {
  id: 'node',
  title: 'Node.js',
  about: 'Whether Node.js is new enough.',
  run: ({ program, management }) => [
    isAtLeast(program.node, LEAST_NODE)
      ? well(program.node)
      : fault('INTERNAL', `${program.node} is too old: qusb needs ${LEAST_NODE} or later`, {
          fix: management
            ? 'Update the package nodejs in the template of this qube.'
            : 'Update the package nodejs in dom0: sudo qubes-dom0-update nodejs',
        }),
  ],
}

/** Compares `v22.21.1` with `20.19.0`, number by number. */
export function isAtLeast(version: string, least: string): boolean {
  const [have, want] = [version, least].map((text) => text.replace(/^v/, '').split('.').map(Number))
  for (const [i, number] of (want ?? []).entries()) {
    const difference = (have?.[i] ?? 0) - number
    if (difference !== 0) return difference > 0
  }
  return true
}

/** Without its code caches qusb works, and starts in twice the time. */
export const codeCacheCheck: Check = {
  id: 'code-cache',
  title: 'V8 code cache',
  about: 'Whether the compiled form of qusb that makes it start fast is there, and fits.',
  run: ({ program: { bundle } }) => {
    const fix = 'Build qusb again (npm run build), or install its package again.'
    // One for the commands that change something, one for the others (scripts/code-cache.cjs).
    const findings = [`${bundle}.cache`, `${bundle}.actions.cache`].flatMap((file) => {
      const cachedData = readOrNothing(file)
      if (cachedData === undefined) return [warn(`there is no ${file}: qusb starts more slowly`, { fix })]
      // V8 takes a cache for exactly this text and this Node, and says so. Under a name that it has met it would not look.
      const code = readFileSync(bundle, 'latin1')
      const { cachedDataRejected } = new vm.Script(code, { filename: file, cachedData })
      const why = `${file} is of another Node.js or another qusb, and is not used: qusb starts more slowly`
      return cachedDataRejected === true ? [warn(why, { fix })] : []
    })
    return orWell(findings, 'it fits')
  },
}

function readOrNothing(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
