import { QusbError } from '../errors.ts'
import type { Device } from '../model/device.ts'
import { formatVidPid } from '../model/identity.ts'
import { deviceClass } from '../model/interface-class.ts'
import { type Selector, selects } from '../model/selector.ts'
import type { QubeSurvey } from '../qubes/survey.ts'

/** What a device is in a few words, by its own claim. */
export function describeDevice(device: Device): string {
  const claim = [device.manufacturer, device.product].filter((part) => part !== null && part !== '').join(' ')
  return claim === '' ? (deviceClass(device.interfaces) ?? 'unknown device') : claim
}

/**
 * The one device that the selector names.
 * @param surveys the backends it may be in: one, where the user said which
 * @throws QusbError NOT_FOUND, or AMBIGUOUS with every candidate's own selector
 */
export function chooseDevice(surveys: readonly QubeSurvey[], selector: Selector): Device {
  const found = surveys.flatMap((survey) =>
    survey.devices.filter((device) => isCandidate(selector, device) && matches(selector, survey, device)),
  )
  const [only, second] = found
  if (only !== undefined && second === undefined) return only
  const where = surveys.map((survey) => survey.qube).join(', ')
  if (only === undefined) throw notFound(surveys, selector, where)
  throw new QusbError('AMBIGUOUS', `"${selector.text}" names ${found.length} devices of ${where}`, {
    hint: 'Name one of them by the selector in front of it.',
    candidates: found.map((device) => ({
      selector: shortestSelector(device, surveys),
      description: `${formatVidPid(device)} ${describeDevice(device)}${device.attachedTo === null ? '' : ` (attached to ${device.attachedTo})`}`,
    })),
  })
}

/** By what it is, only what the backend publishes is found; by its place, also hubs and hidden ones: a guard tells. */
function isCandidate(selector: Selector, device: Device): boolean {
  return selector.kind !== 'identity' || (!device.hub && !device.hidden)
}

/** The serial that udev publishes may be another than the device's own: either counts (FACTS section 1). */
function matches(selector: Selector, survey: QubeSurvey, device: Device): boolean {
  if (selects(selector, device)) return true
  const published = survey.publishedSerials.find((entry) => entry.port === device.port)?.serial
  return published !== undefined && selects(selector, { ...device, serial: published })
}

/** The shortest text that names this device alone: with a serial what it is, else where it is. */
export function shortestSelector(device: Device, surveys: readonly QubeSurvey[]): string {
  const twins = surveys
    .flatMap((survey) => survey.devices)
    .filter(
      (other) =>
        other !== device &&
        other.vendorId === device.vendorId &&
        other.productId === device.productId &&
        other.serial === device.serial,
    )
  if (device.serial !== null && /^[\x21-\x7e]+$/.test(device.serial) && twins.length === 0) {
    return `${formatVidPid(device)}@${device.serial}`
  }
  return `${device.backend}:${device.port}`
}

function notFound(surveys: readonly QubeSurvey[], selector: Selector, where: string): QusbError {
  const hint = `See what is there: qusb list ${surveys.map((survey) => survey.qube).join(' ')}`
  if (selector.kind === 'full') {
    const inPlace = surveys
      .flatMap((survey) => survey.devices)
      .find((device) => device.port === selector.port)
    if (inPlace !== undefined) {
      return new QusbError(
        'NOT_FOUND',
        `${where} has another device at ${selector.port} than "${selector.text}": ${formatVidPid(inPlace)} ${describeDevice(inPlace)}`,
        { hint },
      )
    }
  }
  if (selector.kind === 'identity' && selector.serial !== null) {
    const others = surveys
      .flatMap((survey) => survey.devices)
      .filter((device) => device.vendorId === selector.vendorId && device.productId === selector.productId)
    if (others.length > 0) {
      return new QusbError(
        'NOT_FOUND',
        `${where} has ${formatVidPid(selector)}, but not with the serial "${selector.serial}"`,
        { hint },
      )
    }
  }
  return new QusbError('NOT_FOUND', `${where} has no device "${selector.text}"`, { hint })
}
