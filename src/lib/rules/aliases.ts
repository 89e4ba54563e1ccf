import { QusbError } from '../errors.ts'
import {
  type Alias,
  type AliasName,
  isNamedDevice,
  type NamedDevice,
  parseAliasName,
  pinOf,
  sameNamedDevice,
} from '../model/alias.ts'
import type { Device } from '../model/device.ts'
import { DOM0, parseQubeName } from '../model/names.ts'
import { describeDevice, namedDeviceWords } from '../passthrough/choose.ts'
import type { Context } from '../passthrough/context.ts'
import { type DeviceWords, findDevice, requireIdentified } from '../passthrough/find-device.ts'
import type { Warning } from '../passthrough/results.ts'
import { listQrexecSockets } from '../qubes/qrexec.ts'
import { readAliases, updateAliases } from '../store/aliases.ts'
import type { AliasAddResult, AliasListResult, AliasRemoveResult } from './alias-results.ts'
import { findRulesAbout } from './load.ts'

interface AliasRequest extends DeviceWords {
  name: AliasName
  /** One more device for a name that has some. */
  also: boolean
  /** To where it is plugged, even with a serial. */
  pin: boolean
}

/**
 * A name as the user typed it.
 * @throws QusbError USAGE
 */
export function readAliasName(text: string): AliasName {
  const name = parseAliasName(text)
  if (name !== undefined) return name
  throw new QusbError('USAGE', `"${text.slice(0, 60)}" cannot be an alias`, {
    hint: 'An alias is of lower-case letters, digits and "-", a letter first, at most 31: red-key.',
  })
}

/**
 * Names a device: by its serial, so that the name follows it to any port, or pinned to where it is plugged.
 * @throws QusbError NOT_FOUND, AMBIGUOUS; USAGE when the name is a qube's; CONFLICT when it is another device's; STORE
 */
export async function addAlias(context: Context, request: AliasRequest): Promise<AliasAddResult> {
  const { name } = request
  await requireNoQube(context, name)
  const { device, surveys } = await findDevice(context, request)
  const named = nameDevice(device, request.pin)
  let changed = false
  let alias: Alias = { name, devices: [named] }
  await updateAliases(context.site, context.signal, (aliases) => {
    const known = aliases.find((each) => each.name === name)
    if (known === undefined) {
      changed = true
      return [...aliases, alias].sort((a, b) => (a.name < b.name ? -1 : 1))
    }
    if (known.devices.some((each) => sameNamedDevice(each, named))) {
      alias = known
      return aliases
    }
    if (!request.also) throw taken(known)
    changed = true
    alias = { name, devices: [...known.devices, named] }
    return aliases.map((each) => (each.name === name ? alias : each))
  })
  const twins = surveys
    .flatMap((survey) => survey.devices)
    .filter((other) => other !== device && isNamedDevice(named, other))
  return { schema: 1, changed, alias, device: named, warnings: warnOf(name, device, named, twins) }
}

/**
 * Takes a name away, and warns of the rules that are about it.
 * @throws QusbError STORE
 */
export async function removeAlias(context: Context, name: AliasName): Promise<AliasRemoveResult> {
  let removed: Alias | undefined
  await updateAliases(context.site, context.signal, (aliases) => {
    removed = aliases.find((each) => each.name === name)
    return removed === undefined ? aliases : aliases.filter((each) => each.name !== name)
  })
  const left = removed === undefined ? [] : findRulesAbout(context.site, name)
  const warnings = left.map((rule) => ({
    qube: null,
    code: 'RULE',
    message: `${rule.file}:${rule.line} is about "${name}": with a rule about a name that there is not, none counts`,
    hint: `Take line ${rule.line} out of ${rule.file}, or give the name to a device: qusb alias add ${name} BACKEND DEVICE`,
  }))
  return { schema: 1, changed: removed !== undefined, alias: removed ?? null, warnings }
}

/** @throws QusbError STORE */
export async function listAliases(context: Context): Promise<AliasListResult> {
  const aliases = readAliases(context.site)
  const qubes = await qubeNames(context)
  const warnings = aliases
    .filter(({ name }) => qubes.has(name))
    .map(({ name }) => ({
      qube: parseQubeName(name) ?? null,
      code: 'AMBIGUOUS',
      message: `"${name}" is an alias, and there is a qube of that name`,
      hint: 'Give the alias another name.',
    }))
  return { schema: 1, aliases: [...aliases], warnings }
}

function nameDevice(device: Device, pin: boolean): NamedDevice {
  requireIdentified(device)
  const { vendorId, productId, serial } = device
  return {
    vendorId,
    productId,
    serial,
    pin: pin || serial === null ? pinOf(device) : null,
    description: describeDevice(device),
  }
}

/** @throws QusbError USAGE: a word must not mean a qube today and a device tomorrow */
async function requireNoQube(context: Context, name: AliasName): Promise<void> {
  if (!(await qubeNames(context)).has(name)) return
  throw new QusbError('USAGE', `"${name}" is the name of a qube, so it cannot be an alias`, {
    hint: 'Choose another name.',
  })
}

/** All qubes that are known: by qubesd, by their sockets, by the configuration. */
export async function qubeNames({ site, config, directory }: Context): Promise<Set<string>> {
  const known = (await directory.qubes())?.keys() ?? []
  return new Set<string>([DOM0, ...known, ...listQrexecSockets(site).keys(), ...(config.backends ?? [])])
}

function taken(alias: Alias): QusbError {
  const devices = alias.devices.map(namedDeviceWords).join(', and of ')
  return new QusbError('CONFLICT', `"${alias.name}" is already the name of ${devices}`, {
    hint: `To give it to this device as well, say --also; to this one alone: qusb alias remove ${alias.name}, then again.`,
  })
}

function warnOf(name: AliasName, device: Device, named: NamedDevice, twins: readonly Device[]): Warning[] {
  const at = `${device.backend}:${device.port}`
  const warnings: Warning[] = []
  if (device.serial === null && named.pin !== null) {
    const why = device.serialUnsafe ? 'has a serial that cannot be told apart safely' : 'has no serial'
    warnings.push({
      qube: device.backend,
      code: 'PINNED',
      message: `${at} ${why}: "${name}" is pinned to where it is plugged now (${namedDeviceWords(named)}), and means any ${device.vendorId}:${device.productId} there`,
      hint: null,
    })
  }
  if (twins.length > 0) {
    const others = twins.map((twin) => `${twin.backend}:${twin.port}`).join(', ')
    warnings.push({
      qube: device.backend,
      code: 'ALIKE',
      message: `${others} has the same serial as ${at}: "${name}" means either of them`,
      hint: 'To name the one in this port alone, remove the alias and say --pin.',
    })
  }
  return warnings
}
