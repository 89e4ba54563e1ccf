import { type Alias, isNamedDevice } from '../model/alias.ts'
import type { Device } from '../model/device.ts'
import { CLASS_WORDS, deviceClass, isOfClass } from '../model/device-class.ts'
import type { QubeName } from '../model/names.ts'
import { findBackends } from '../passthrough/backends.ts'
import type { Context } from '../passthrough/context.ts'
import { lookAt } from '../passthrough/look.ts'
import { nameDevices } from '../passthrough/name-devices.ts'
import { findRunningQubes } from '../passthrough/running-qubes.ts'
import { readAliases } from '../store/aliases.ts'
import type { Candidate, LiveQuestion } from './wanted.ts'

/**
 * Finds what only this machine and its qubes can tell. Only running qubes are asked, nothing is changed, nothing started.
 * @param current the word at the cursor, up to it
 * @param offer gets what is found as soon as it is: whoever waits no longer has what there was
 */
export async function askLive(
  context: Context,
  question: LiveQuestion,
  current: string,
  offer: (candidates: readonly Candidate[]) => void,
): Promise<void> {
  const kinds = new Set(question.kinds)
  const offerQubes = (names: Iterable<QubeName>, description: string): void =>
    offer(
      [...names]
        .filter((name) => !question.without.includes(name))
        .map((name) => ({ value: name, description })),
    )
  const work: Promise<void>[] = []
  if (kinds.has('qube')) work.push(runningQubes(context).then((names) => offerQubes(names, '')))
  if (kinds.has('frontend')) {
    const others = (names: QubeName[]): QubeName[] => names.filter((name) => name !== question.backend)
    work.push(runningQubes(context).then((names) => offerQubes(others(names), '')))
  }
  if (kinds.has('backend'))
    work.push(eachBackend(context, undefined, (name) => offerQubes([name], 'USB qube')))
  if (kinds.has('template')) work.push(templates(context).then((names) => offerQubes(names, 'template')))
  if (kinds.has('rule')) work.push(ruleCandidates(context, question.without).then(offer))
  const aliases = kinds.has('alias') ? readAliases(context.site) : []
  const ofAttached = question.devices === 'attached'
  if (!ofAttached) offer(aliases.map(aliasCandidate))
  if (kinds.has('holder') || (kinds.has('device') && (!kinds.has('backend') || saysDevice(current)))) {
    work.push(
      eachBackend(context, question.backend, async (backend) => {
        const devices = await offeredDevices(context, backend, question.devices)
        if (kinds.has('holder')) {
          offerQubes(new Set(devices.flatMap(({ attachedTo }) => attachedTo ?? [])), 'has a device')
        }
        if (!kinds.has('device')) return
        offer(deviceCandidates(context, devices, question.backend, current))
        if (ofAttached) offer(aliases.filter((alias) => isThere(alias, devices)).map(aliasCandidate))
        if (question.backend === undefined && current.startsWith('class:')) offer(classCandidates(devices))
      }),
    )
  }
  await Promise.all(work)
}

/** A word that cannot be the name of a backend any more: only then are all of them asked for a first word. */
function saysDevice(current: string): boolean {
  return /^[0-9]|:/.test(current)
}

function aliasCandidate({ name, devices }: Alias): Candidate {
  return { value: name, description: devices.map(({ description }) => description).join(', ') }
}

function isThere(alias: Alias, devices: readonly Device[]): boolean {
  return devices.some((device) => alias.devices.some((named) => isNamedDevice(named, device)))
}

function classCandidates(devices: readonly Device[]): Candidate[] {
  return CLASS_WORDS.filter((word) => devices.some((device) => isOfClass(device, word))).map((word) => ({
    value: `class:${word}`,
    description: '',
  }))
}

/** By qubesd's word, which knows of paused ones; else by their sockets. Sorted. */
async function runningQubes(context: Context): Promise<QubeName[]> {
  const names = [...((await findRunningQubes(context))?.keys() ?? [])]
  const known = await context.directory.qubes()
  const running = names.filter((name) => known === undefined || known.get(name)?.state === 'running')
  return running.sort()
}

async function templates(context: Context): Promise<QubeName[]> {
  const known = [...((await context.directory.qubes())?.values() ?? [])]
  return known.filter((qube) => qube.class === 'TemplateVM').map(({ name }) => name)
}

/** Rules by their ids; none of broken ones. */
async function ruleCandidates(context: Context, without: readonly string[]): Promise<Candidate[]> {
  // Loaded here because nothing else needs rules, and an id costs a cryptographic library.
  const [{ loadRules }, { ruleLabel }, { ruleId }] = await Promise.all([
    import('../rules/load.ts'),
    import('../rules/rule.ts'),
    import('../rules/rule-id.ts'),
  ])
  const loaded = loadRules(context.site)
  if (!('rules' in loaded)) return []
  return loaded.rules
    .map((rule) => ({ value: ruleId(rule), description: `${ruleLabel(rule)}: ${rule.source.trim()}` }))
    .filter(({ value }) => !without.includes(value))
}

/** Does something with each backend: the one that is named, else those that are known, then those that qubesd adds. */
async function eachBackend(
  context: Context,
  named: QubeName | undefined,
  work: (backend: QubeName) => void | Promise<void>,
): Promise<void> {
  if (named !== undefined) return await work(named)
  const { names, found } = await findBackends(context)
  const begun = names.map(work)
  const { running } = await found
  begun.push(...running.filter((name) => !names.includes(name)).map(work))
  await Promise.all(begun)
}

async function offeredDevices(
  context: Context,
  backend: QubeName,
  which: LiveQuestion['devices'],
): Promise<Device[]> {
  const { surveys } = await lookAt(context, [backend])
  return (surveys.get(backend)?.devices ?? []).filter((device) => {
    if (device.attachedTo !== null) return which !== 'free'
    return which !== 'attached' && !device.hub && !device.hidden
  })
}

/** Devices as words: by their ports and, once the word begins so, by what they are. A serial is never a word. */
function deviceCandidates(
  context: Context,
  devices: readonly Device[],
  backend: QubeName | undefined,
  current: string,
): Candidate[] {
  const nameOf = nameDevices(context.site, devices)
  const count = new Map<string, number>()
  const identityOf = (device: Device): string => `${device.vendorId}:${device.productId}`
  for (const device of devices) count.set(identityOf(device), (count.get(identityOf(device)) ?? 0) + 1)
  return devices.flatMap((device) => {
    const kind = deviceClass(device)
    const holder = device.attachedTo === null ? '' : ` (attached to ${device.attachedTo})`
    const description = `${kind === null ? '' : `${kind}: `}${nameOf(device)}${holder}`
    const place = {
      value: backend === undefined ? `${device.backend}:${device.port}` : device.port,
      description,
    }
    const identity = { value: identityOf(device), description }
    const isIdentity =
      /^[0-9a-f]/.test(current) && identity.value.startsWith(current) && count.get(identity.value) === 1
    return isIdentity ? [place, identity] : [place]
  })
}
