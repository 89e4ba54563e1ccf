import { describe, expect, it } from 'vitest'
import { alignRows } from '../../../src/lib/view/questions.ts'

const rows = [
  ['sys-usb:2-1', '0781:5567', 'storage: SanDisk Cruzer Blade', 'work'],
  ['sys-usb:1-4.1', '046d:0825', 'camera: 键盘', ''],
]

describe('the choices of a question', () => {
  it('stand in columns', () => {
    expect(alignRows(rows, 2, { width: 100, colour: false, unicode: true })).toEqual([
      'sys-usb:2-1    0781:5567  storage: SanDisk Cruzer Blade  work',
      'sys-usb:1-4.1  046d:0825  camera: 键盘',
    ])
  })

  it('are cut where the description is, so that what follows is seen', () => {
    expect(alignRows(rows, 2, { width: 60, colour: false, unicode: true })).toEqual([
      'sys-usb:2-1    0781:5567  storage: SanDisk Cruzer…  work',
      'sys-usb:1-4.1  046d:0825  camera: 键盘',
    ])
  })
})
