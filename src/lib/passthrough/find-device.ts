import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import { isIdentified } from '../model/identity.ts'
import type { QubeName } from '../model/names.ts'
import type { Selector } from '../model/selector.ts'
import type { QubeSurvey } from '../qubes/survey.ts'
import { findBackends, onlyBackends } from './backends.ts'
import { chooseDevice } from './choose.ts'
import type { Context } from './context.ts'
import { type Look, lookAt, surveyOf } from './look.ts'
import { namingOf } from './naming.ts'

/** How a user says which device is meant. */
export interface DeviceWords {
  /** Where to look; undefined: wherever the selector finds it. */
  backend: QubeName | undefined
  selector: Selector
}

/** A device that was found, and all that was seen with it. */
export interface FoundDevice {
  device: Device
  surveys: readonly QubeSurvey[]
  seen: Look
}

/**
 * Looks for the one device that is meant. Changes nothing.
 * @throws QusbError NOT_FOUND, AMBIGUOUS, or why the backend could not be asked
 */
export async function findDevice(context: Context, { backend, selector }: DeviceWords): Promise<FoundDevice> {
  const asked = backend === undefined ? await findBackends(context) : onlyBackends([backend])
  context.progress(`looking at ${asked.names.join(', ')}`)
  const seen = await lookAt(context, asked.names, asked)
  const surveys = [...seen.surveys.values()]
  const [first] = asked.names
  if (first !== undefined && (backend !== undefined || surveys.length === 0)) surveyOf(seen, first)
  return { device: chooseDevice(surveys, selector, namingOf(context.site)), surveys, seen }
}

/** What lasts is about what a device is, so that must be known. @throws QusbError REFUSED */
export function requireIdentified(device: Device): void {
  if (isIdentified(device)) return
  throw new QusbError('REFUSED', `qubesd does not say what ${device.backend}:${device.port} is`, {
    hint: `Only ${device.backend} itself can tell: qusb list ${device.backend} says why it is not asked.`,
  })
}
