import { describe, expect, it } from 'vitest'
import { NotInThisEngine } from '../../../src/lab/engine.ts'
import { choosePlace } from '../../../src/lab/kernel/sockets.ts'

const at = (...ports: string[]) =>
  ports.map((port) => ({ port, socket: Number(port.split('-')[1]?.split('.')[0]) }))

describe('a place for a device', () => {
  it.each([
    [5000, undefined, [], '2-1'],
    [5000, undefined, at('2-1'), '2-2'],
    // A socket is one, whichever bus its device is on.
    [5000, undefined, at('1-1'), '2-2'],
    [480, undefined, [], '1-9'],
    [12, undefined, at('1-9', '1-10.1'), '1-11'],
    [480, '1-3', at('2-1'), '1-3'],
    [12, '1-4.2', at('1-4.1'), '1-4.2'],
    [5000, '2-8', [], '2-8'],
  ])('%d Mb/s at %s', (speed, wanted, plugged, port) => {
    expect(choosePlace(speed, wanted, plugged).port).toBe(port)
  })

  it.each([
    [5000, '1-1'],
    [5000, '2-9'],
    [480, '2-1'],
    [480, '1-16'],
    [480, '1-4.1'],
    [12, '1-4.9'],
    [12, '1-4.1.1'],
    [12, '3-1'],
  ])('%d Mb/s never at %s', (speed, wanted) => {
    expect(() => choosePlace(speed, wanted, [])).toThrow(NotInThisEngine)
  })

  it.each([
    [480, '1-3', at('1-3')],
    [480, '1-3', at('2-3')],
    [480, '1-4', at('1-4.1')],
    [12, '1-4.1', at('1-4')],
  ])('%d Mb/s not at %s, which is taken', (speed, wanted, plugged) => {
    expect(() => choosePlace(speed, wanted, plugged)).toThrow(/taken/)
  })
})
