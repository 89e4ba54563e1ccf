import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readDescriptor } from '../../../src/lib/host/hint-socket.ts'
import { isQubeName } from '../../../src/lib/model/names.ts'

describe('the descriptor of a call of qusb.Plugged', () => {
  it.each([
    ['qusb.Plugged+ sys-usb keyword adminvm', 'sys-usb'],
    ['qusb.Plugged sys-usb', 'sys-usb'],
    ['qusb.Plugged+2-1 sys-usb name dom0', 'sys-usb'],
    ['qusb.Other+ sys-usb keyword adminvm', undefined],
    ['qusb.Plugged+ -x keyword adminvm', undefined],
    ['qusb.Plugged+', undefined],
    ['', undefined],
  ])('%j', (line, source) => {
    expect(readDescriptor(line)).toBe(source)
  })

  it('is no qube that cannot be one, whatever is sent', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 1024, unit: 'binary' }), (line) => {
        for (const text of [line, `qusb.Plugged ${line}`]) {
          const source = readDescriptor(text)
          expect(source === undefined || isQubeName(source)).toBe(true)
        }
      }),
    )
  })
})
