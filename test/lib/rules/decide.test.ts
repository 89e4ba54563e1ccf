import { describe, expect, it } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import { decide } from '../../../src/lib/rules/decide.ts'
import { makeCandidate, rulesOf } from './candidate.ts'

const running = (...names: string[]) => ({ running: new Set(names as QubeName[]) })

describe('decide', () => {
  it('follows the first rule that is about the device', () => {
    const rules = rulesOf(
      ['0781:5567 * work allow', '1050:0407@0012345 * vault ask retry=3', '* * untrusted allow'].join('\n'),
    )
    const decision = decide(rules, makeCandidate(), running())
    expect(decision).toMatchObject({
      action: 'ask',
      frontend: 'vault',
      options: { retry: 3 },
      rule: rules[1],
    })
    expect(decision.considered.map(({ outcome, why }) => [outcome, why])).toEqual([
      ['no-match', 'it is 1050:0407, not 0781:5567'],
      ['wins', 'it is the first that is about this device'],
      ['beaten', 'it is about this device too, and 50-qusb.rules:2 comes first'],
    ])
  })

  it('does nothing where no rule is about the device', () => {
    expect(decide([], makeCandidate(), running())).toMatchObject({
      action: 'none',
      rule: null,
      frontend: null,
    })
    expect(decide(rulesOf('3-1 * work allow'), makeCandidate(), running())).toMatchObject({ action: 'none' })
  })

  it('gives what is denied to nobody, whoever the rule names', () => {
    expect(decide(rulesOf('* * work deny\n* * work allow'), makeCandidate(), running())).toMatchObject({
      action: 'deny',
      frontend: null,
    })
  })

  it('passes over a rule for a qube that does not run, where the rule says so', () => {
    const rules = rulesOf('* * vault allow when-running=yes\n* * work allow')
    expect(decide(rules, makeCandidate(), running('vault'))).toMatchObject({ frontend: 'vault' })
    const other = decide(rules, makeCandidate(), running('work'))
    expect(other).toMatchObject({ frontend: 'work' })
    expect(other.considered[0]?.why).toMatch(/vault does not run/)
  })

  it.each([
    ['1050:0407@0012346 * work allow', {}, /its serial is "0012345", not "0012346"/],
    ['1050:0407@0012345 * work allow', { serial: null }, /it has no serial, and the rule wants "0012345"/],
    ['1050:0407@0012345 * work allow', { serial: null, serialUnsafe: true }, /told apart safely/],
    ['* sys-net work allow', {}, /it is in sys-usb, not in sys-net/],
    ['2-2 * work allow', {}, /it is at 2-1, not at 2-2/],
    ['2.6 * work allow', {}, /bus address 2.5, not at 2.6/],
    ['sys-usb:2-2:1050:0407:0012345:u030101 * work allow', {}, /at 2-1, not at 2-2/],
    ['sys-usb:2-1:1050:0407:0012345:u030101 * work allow', {}, /interfaces are others/],
    ['* * work allow', { hub: true }, /a hub/],
    ['2-1 * work allow', { hidden: true }, /hides it on purpose/],
  ])('%s: not about %j', (line, changes, why) => {
    const decision = decide(rulesOf(line), makeCandidate(changes), running())
    expect(decision).toMatchObject({ action: 'none', rule: null })
    expect(decision.considered[0]?.why).toMatch(why)
  })

  it('takes a device that shows no interface (yet) for one of a class that is denied, and of no class that is given', () => {
    const rules = rulesOf('class:input * @none deny\n* * work allow')
    const bare = makeCandidate({ interfaces: [] })
    const decision = decide(rules, bare, running())
    expect(decision).toMatchObject({ action: 'deny', rule: rules[0] })
    expect(decision.considered[0]?.why).toMatch(/may be/)
    expect(decide(rulesOf('class:input * work allow'), bare, running())).toMatchObject({ action: 'none' })
    expect(decide(rules, makeCandidate({ interfaces: ['080650'] }), running())).toMatchObject({
      action: 'allow',
    })
  })

  it.each([
    ['class:input', {}, 'wins', /first/],
    ['class:camera', {}, 'no-match', /it is security-key, not camera/],
    ['name:*yubi*', {}, 'wins', /first/],
    ['name:*nitro*', {}, 'no-match', /its name is "Yubico YubiKey"/],
    ['red-key', { aliases: ['red-key'] }, 'wins', /first/],
    ['red-key', { aliases: ['blue-key'] }, 'no-match', /its alias is blue-key/],
    ['red-key', {}, 'no-match', /no alias/],
  ])('%s', (device, more, outcome, why) => {
    const { considered } = decide(rulesOf(`${device} * work allow`), makeCandidate({}, more), running())
    expect(considered).toMatchObject([{ outcome, why: expect.stringMatching(why) }])
  })

  it('takes the serial that the backend publishes as well', () => {
    const rules = rulesOf('1050:0407@OTHER * work allow')
    expect(decide(rules, makeCandidate({}, { publishedSerial: 'OTHER' }), running())).toMatchObject({
      frontend: 'work',
    })
  })
})
