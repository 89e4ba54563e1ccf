import { describe, expect, it } from 'vitest'
import { historyResultSchema } from '../../../src/lib/passthrough/results.ts'
import { renderHistory, renderHistoryLines } from '../../../src/lib/view/history.ts'

const event = {
  at: '2026-07-01T09:05:00.000Z',
  what: 'attached',
  backend: 'sys-usb',
  port: '2-1',
  frontend: 'work',
  vendorId: '0781',
  productId: '5567',
  serial: '4C530001',
  description: 'SanDisk Cruzer Blade',
  user: 'ada',
  rule: null,
  how: null,
}
const result = historyResultSchema.parse({
  schema: 1,
  events: [
    event,
    { ...event, what: 'failed', how: 'TIMEOUT', rule: 'sticks' },
    { ...event, what: 'ended', user: null, how: 'unplugged' },
  ],
  warnings: [],
})

describe('the history', () => {
  it('is a table for a person', () => {
    const view = renderHistory(result, { width: 120, colour: false, unicode: true })
    expect(view.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'YYYY-MM-DD hh:mm')).toBe(`\
WHEN              WHAT      BACKEND:PORT  VID:PID    DEVICE                QUBE  BY                 HOW
YYYY-MM-DD hh:mm  attached  sys-usb:2-1   0781:5567  SanDisk Cruzer Blade  work  ada
YYYY-MM-DD hh:mm  failed    sys-usb:2-1   0781:5567  SanDisk Cruzer Blade  work  ada (rule sticks)  TIMEOUT
YYYY-MM-DD hh:mm  ended     sys-usb:2-1   0781:5567  SanDisk Cruzer Blade  work                     unplugged
`)
    expect(renderHistory({ ...result, events: [] }, { width: 80, colour: false, unicode: true })).toBe(
      'Nothing has happened yet.\n',
    )
  })

  it('is lines for a script', () => {
    expect(renderHistoryLines(result).split('\n')).toEqual([
      '2026-07-01T09:05:00.000Z\tattached\tsys-usb\t2-1\t0781:5567\t4C530001\tSanDisk Cruzer Blade\twork\tada\t-\t-',
      '2026-07-01T09:05:00.000Z\tfailed\tsys-usb\t2-1\t0781:5567\t4C530001\tSanDisk Cruzer Blade\twork\tada\tsticks\tTIMEOUT',
      '2026-07-01T09:05:00.000Z\tended\tsys-usb\t2-1\t0781:5567\t4C530001\tSanDisk Cruzer Blade\twork\t-\t-\tunplugged',
      '',
    ])
  })
})
