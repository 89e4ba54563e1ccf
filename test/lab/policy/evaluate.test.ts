import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { evaluatePolicy } from '../../../src/lab/policy/evaluate.ts'
import { PolicySyntaxError, parsePolicy } from '../../../src/lab/policy/parse.ts'

let home: string
const run = () => join(home, 'run')
const etc = () => join(home, 'etc')

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'qusb-policy-'))
  mkdirSync(run())
  mkdirSync(etc())
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const ALLOW = 'qubes.USB +2-1 work sys-usb allow user=root autostart=no\n'
const DENY = 'qubes.USB * @anyvm @anyvm deny\n'
const evaluate = (source = 'work', service = 'qubes.USB+2-1', target = 'sys-usb') =>
  evaluatePolicy([run(), etc()], { source, target, service })

describe('one line', () => {
  it.each([
    ['exact', ALLOW, 'allow'],
    ['any argument', 'qubes.USB * work sys-usb allow\n', 'allow'],
    ['any service', '* * work sys-usb allow\n', 'allow'],
    ['any source', 'qubes.USB +2-1 * sys-usb allow\n', 'allow'],
    ['@anyvm on both sides', 'qubes.USB +2-1 @anyvm @anyvm allow\n', 'allow'],
    ['another argument', 'qubes.USB +2-10 work sys-usb allow\n', 'deny'],
    ['no argument', 'qubes.USB + work sys-usb allow\n', 'deny'],
    ['another source', 'qubes.USB +2-1 vault sys-usb allow\n', 'deny'],
    ['another target', 'qubes.USB +2-1 work sys-net allow\n', 'deny'],
    ['another service', 'qubes.USBX +2-1 work sys-usb allow\n', 'deny'],
    ['ask', 'qubes.USB +2-1 work sys-usb ask default_target=sys-usb\n', 'ask'],
    ['comments and blank lines', `# a comment\n\n  ${ALLOW}`, 'allow'],
    ['nothing', '', 'deny'],
  ])('%s: %s', (_, text, action) => {
    writeFileSync(join(etc(), '30-user.policy'), text)
    expect(evaluate().action).toBe(action)
  })

  it('says user, autostart and who decided', () => {
    writeFileSync(join(run(), '34-qusb-1.policy'), ALLOW)
    expect(evaluate()).toMatchObject({
      action: 'allow',
      user: 'root',
      autostart: false,
      decidedBy: `${join(run(), '34-qusb-1.policy')}:1`,
    })
  })

  it('redirects by target=', () => {
    writeFileSync(join(run(), '34.policy'), 'qubes.USB * work @default allow target=sys-usb\n')
    expect(evaluate('work', 'qubes.USB+2-1', '@default')).toMatchObject({
      action: 'allow',
      target: 'sys-usb',
    })
  })

  it('is not about the stub domain of the qube that it names', () => {
    writeFileSync(join(run(), '34.policy'), ALLOW)
    expect(evaluate('work-dm').action).toBe('deny')
  })
})

describe('several files', () => {
  it.each([
    ['a grant before a deny', '29-qusb.policy', '30-user.policy', 'allow'],
    ['30-qusb before 30-user', '30-qusb-1.policy', '30-user.policy', 'allow'],
    ['a grant after a deny', '34-qusb-1.policy', '30-user.policy', 'deny'],
    ['order by name, whatever the directory', '34-qusb-1.policy', '35-compat.policy', 'allow'],
  ])('%s', (_, grantFile, denyFile, action) => {
    writeFileSync(join(run(), grantFile), ALLOW)
    writeFileSync(join(etc(), denyFile), DENY)
    expect(evaluate().action).toBe(action)
  })

  it('lets /run shadow the same name in /etc', () => {
    writeFileSync(join(etc(), '30-user.policy'), DENY)
    writeFileSync(join(run(), '30-user.policy'), ALLOW)
    expect(evaluate().action).toBe('allow')
  })

  it('takes the first line that fits within a file', () => {
    writeFileSync(join(etc(), '30.policy'), DENY + ALLOW)
    expect(evaluate()).toMatchObject({ action: 'deny', decidedBy: `${join(etc(), '30.policy')}:1` })
  })

  it('ignores dotfiles and other suffixes', () => {
    writeFileSync(join(run(), '.34-qusb.policy'), 'nonsense')
    writeFileSync(join(run(), '34-qusb.policy.rpmsave'), 'nonsense')
    writeFileSync(join(etc(), '40.policy'), ALLOW)
    expect(evaluate().action).toBe('allow')
  })

  it('sees a change at once', () => {
    const file = join(run(), '34-qusb-1.policy')
    writeFileSync(file, ALLOW)
    expect(evaluate().action).toBe('allow')
    rmSync(file)
    expect(evaluate().action).toBe('deny')
  })

  it('does without a directory that is not there', () => {
    rmSync(run(), { recursive: true })
    writeFileSync(join(etc(), '30.policy'), ALLOW)
    expect(evaluate().action).toBe('allow')
  })
})

describe('what denies everything', () => {
  it.each([
    ['a capital in a file name', '50-Mine.policy', ALLOW],
    ['too few fields', '50.policy', 'qubes.USB work sys-usb allow\n'],
    ['an unknown action', '50.policy', 'qubes.USB * work sys-usb permit\n'],
    ['an argument without +', '50.policy', 'qubes.USB 2-1 work sys-usb allow\n'],
    ['a service with an argument of its own', '50.policy', '* +2-1 work sys-usb allow\n'],
    ['an unknown option', '50.policy', 'qubes.USB * work sys-usb allow color=red\n'],
    ['an option twice', '50.policy', 'qubes.USB * work sys-usb allow user=a user=b\n'],
    ['an option of another action', '50.policy', 'qubes.USB * work sys-usb deny user=root\n'],
    ['dom0 as source', '50.policy', 'qubes.USB * dom0 sys-usb allow\n'],
    ['a tag, which the lab has not', '50.policy', 'qubes.USB * @tag:x sys-usb allow\n'],
    ['an include', '50.policy', '!include-dir /etc\n'],
  ])('%s', (_, name, text) => {
    writeFileSync(join(run(), '34-qusb-1.policy'), ALLOW)
    writeFileSync(join(etc(), name), text)
    const decision = evaluate()
    expect(decision.action).toBe('deny')
    expect(decision.reason).toContain(name)
  })

  it('names the line', () => {
    expect(() => parsePolicy('f', `${ALLOW}bad\n`)).toThrow(PolicySyntaxError)
    expect(() => parsePolicy('f', `${ALLOW}bad\n`)).toThrow(/^f:2: /)
  })
})
