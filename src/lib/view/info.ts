import type { Usage } from '../model/device.ts'
import { formatVidPid } from '../model/identity.ts'
import type { InfoResult } from '../passthrough/results.ts'
import { driftSentence, placeWords, speedWords } from './device-words.ts'
import { localTime, paint, plain, sentence, type Terminal } from './terminal.ts'

/** Everything known of one device, a fact a line. */
export function renderInfo(result: InfoResult, terminal: Terminal): string {
  const { device } = result
  const facts: [string, string | null][] = [
    ['port', `${placeWords(device)} (bus ${device.busnum}, device ${device.devnum ?? 'not known'})`],
    ['identity', identityWords(device)],
    ['alias', device.aliases.join(', ') || null],
    [
      'serial',
      device.serialUnsafe ? 'one that is not safe to compare: counts as none' : (device.serial ?? 'none'),
    ],
    ['its own claim', [device.manufacturer, device.product].filter(Boolean).join(' ') || null],
    ['class', device.class],
    ['speed', speedWords(device.speed) || null],
    ['controller', device.controller],
    ['driver', device.driver ?? (device.toldBy === 'qubesd' ? null : 'none')],
    ['state', stateWords(device)],
    ['since', device.since === null ? null : localTime(device.since)],
    ['by', byWords(device.by)],
    [
      'told by',
      device.toldBy === 'qubesd' ? 'qubesd: what dom0 types on and what is in use is not known' : null,
    ],
    ...(device.usage ?? []).map((use): [string, string] => ['in use', usageWords(use)]),
    ...result.interfaces.map((each): [string, string] => [
      'interface',
      `${each.code}  ${each.words}${each.driver === null ? '' : `  (driver ${each.driver})`}`,
    ]),
  ]
  const lines = [paint(plain(device.description, terminal), 'bold', terminal)]
  for (const [name, value] of facts) {
    if (value !== null) lines.push(`  ${paint(name.padEnd(15), 'dim', terminal)}${plain(value, terminal)}`)
  }
  const advice = result.advice.map((each) => each.text)
  const drift = driftSentence(device)
  if (drift !== undefined) advice.push(drift)
  if (advice.length > 0) lines.push('', 'Before you give it away:')
  for (const text of advice) lines.push(sentence(`- ${text}`, terminal, '  ').trimEnd())
  return lines.map((line) => `${line}\n`).join('')
}

function identityWords(device: InfoResult['device']): string {
  return `${formatVidPid(device)}${device.serial === null ? '' : `@${device.serial}`}`
}

function stateWords(device: InfoResult['device']): string {
  if (device.state === 'free') return 'free'
  if (device.toldBy === 'qubesd' && device.attachedTo === null) return 'not known'
  if (device.attachedTo === null) return 'unknown: the backend names a holder that cannot be'
  return device.state === 'attached'
    ? `attached to ${device.attachedTo}`
    : `unknown, perhaps attached to ${device.attachedTo}`
}

function byWords(by: InfoResult['device']['by']): string | null {
  if (by === null) return null
  return by.rule === null ? by.user : `${by.user}, by rule ${by.rule}`
}

function usageWords(use: Usage): string {
  const what = use.what === null ? '' : ` ${use.what}`
  switch (use.kind) {
    case 'mounted':
      return `${use.block} is mounted${what === '' ? '' : ` on${what}`}`
    case 'swap':
      return `${use.block} is swap`
    case 'holder':
      return `${use.block} is held by${what || ' another block device'}`
    case 'given':
      return `${use.block} is given to a qube as a block device${what === '' ? '' : ` (${what.trim()})`}`
  }
}
