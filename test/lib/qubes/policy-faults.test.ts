import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePolicy } from '../../../src/lab/policy/parse.ts'
import { formatGrant } from '../../../src/lib/qubes/grant.ts'
import { findLineFault } from '../../../src/lib/qubes/policy-faults.ts'

describe('a line of policy', () => {
  it.each([
    '',
    '  # a comment: allow',
    'qubes.USB * work sys-usb allow',
    'qubes.USB\t+2-1  work  sys-usb  allow  user=root autostart=no',
    '* * @anyvm @anyvm deny',
    'qubes.Gpg + @tag:mail @default ask target=vault default_target=vault notify=yes',
    'qubes.VMShell * uuid:0000 @dispvm:@tag:x allow target=@dispvm',
    '!include include/admin-local-ro',
    '!include-service qubes.Gpg * include/gpg',
    '!compat-4.0',
    // What a later qrexec may know.
    'qubes.USB * @new:thing sys-usb allow later=option',
  ])('without a fault: %j', (line) => {
    expect(findLineFault(line)).toBeUndefined()
  })

  it.each([
    ['qubes.USB work sys-usb allow', 'it has 4 of the five words SERVICE ARGUMENT SOURCE TARGET ACTION'],
    ['qubes.USB 2-1 work sys-usb allow', 'its argument is neither * nor +ARGUMENT'],
    ['* +2-1 work sys-usb allow', 'the service * goes with the argument * only'],
    ['qubes.USB * work sys-usb Allow', 'its action is none of allow, ask and deny'],
    ['qubes.USB * work sys-usb constructor', 'its action is none of allow, ask and deny'],
    ['qubes.USB * work sys-usb allow,user=root', 'its action is none of allow, ask and deny'],
    ['qubes.USB * work sys-usb allow root', 'an option is not NAME=VALUE'],
    ['qubes.USB * work sys-usb allow user=a user=b', 'the option user stands there twice'],
    ['qubes.USB * work sys-usb allow notify=maybe', 'notify is neither yes nor no'],
    ['!inclde x', 'it begins with no known directive'],
  ])('with a fault: %j', (line, fault) => {
    expect(findLineFault(line)).toBe(fault)
  })

  it('our own grant has none', () => {
    const grant = formatGrant({ backend: 'sys-usb' as never, port: '2-1' as never, caller: 'work' as never })
    expect(findLineFault(grant)).toBeUndefined()
  })

  it('what a strict reader takes has none, and nothing makes it fall over', () => {
    const word = fc.constantFrom(
      'qubes.USB',
      '*',
      '+2-1',
      '+',
      'work',
      '@anyvm',
      'allow',
      'deny',
      'ask',
      'notify=no',
      'user=root',
      'x',
      '!include',
    )
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(word, { maxLength: 8 }).map((words) => words.join(' ')),
    )
    fc.assert(
      fc.property(line, (text) => {
        const fault = findLineFault(text)
        if (/\n/.test(text)) return
        let isTaken = true
        try {
          parsePolicy('a', text)
        } catch {
          isTaken = false
        }
        if (isTaken) expect(fault).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
  })
})
