import { readFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { WORDS } from '../../lib/model/parsing.ts'
import { LabError } from '../errors.ts'
import { DEFAULT_LAB } from './default.ts'
import { type LabFile, labFileSchema } from './schema.ts'

/**
 * Reads a lab file, or takes the default lab.
 * @throws LabError that names the file and what is wrong in it
 */
export function readLabFile(path: string | null): LabFile {
  if (path === null) return labFileSchema.parse(DEFAULT_LAB)
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new LabError(`${path} cannot be read: ${(error as Error).message}`, undefined, { cause: error })
  }
  return parseLabFile(value, path)
}

/**
 * Checks a lab's description: the shape, and that names fit together.
 * @throws LabError
 */
export function parseLabFile(value: unknown, origin: string): LabFile {
  const parsed = labFileSchema.safeParse(value, WORDS)
  if (!parsed.success) throw new LabError(`${origin} is not a lab: ${z.prettifyError(parsed.error)}`)
  const file = parsed.data
  const names = file.qubes.map((qube) => qube.name)
  const fail = (what: string): never => {
    throw new LabError(`${origin} is not a lab: ${what}`)
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) fail(`two qubes are called ${twice}`)
  for (const { backend, kind, port } of file.devices) {
    if (!file.qubes.some((qube) => qube.name === backend && qube.backend)) {
      fail(
        `the ${kind}${port === undefined ? '' : ` at ${port}`} is plugged into ${backend}, which is no backend`,
      )
    }
  }
  return file
}
