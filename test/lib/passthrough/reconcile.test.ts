import { describe, expect, it } from 'vitest'
import { type AttachmentRecord, attachmentRecordSchema } from '../../../src/lib/model/attachment.ts'
import type { Device } from '../../../src/lib/model/device.ts'
import type { Look } from '../../../src/lib/passthrough/look.ts'
import { endingOf } from '../../../src/lib/passthrough/reconcile.ts'
import type { QubeSurvey } from '../../../src/lib/qubes/survey.ts'

const record: AttachmentRecord = attachmentRecordSchema.parse({
  id: '0123456789abcdef',
  backend: 'sys-usb',
  port: '2-1',
  frontend: 'work',
  stubdom: false,
  device: {
    vendorId: '0951',
    productId: '1666',
    serial: 'S',
    interfaces: ['080650'],
    busnum: 2,
    devnum: 3,
    description: 'a stick',
  },
  phase: 'attached',
  goal: 'attached',
  since: '2026-11-26T12:00:00.000Z',
  by: { user: 'user', pid: 10, rule: null },
  grant: null,
  bootId: 'boot',
  slept: 100,
  backendDomain: 1,
  frontendDomain: 2,
})

const device = {
  ...record.device,
  backend: record.backend,
  port: record.port,
  state: 'attached',
  attachedTo: record.frontend,
} as unknown as Device

const socket = (name: string, domainId: number | null) => ({ name, domainId, stubdom: false }) as never
const running = (backend: number | null = 1, frontend: number | null = 2) =>
  new Map([
    ['sys-usb', socket('sys-usb', backend)],
    ['work', socket('work', frontend)],
  ]) as never

function look(changed: Partial<Device> | null, truncated = false): Pick<Look, 'surveys'> {
  const devices = changed === null ? [] : [{ ...device, ...changed }]
  const survey = { qube: 'sys-usb', devices, truncated } as unknown as QubeSurvey
  return { surveys: new Map([[record.backend, survey]]) }
}

const now = { now: '', bootId: 'boot', slept: 100 }

describe('how an attachment ended', () => {
  it.each([
    ['stands', look({}), running(), now, null],
    ['dom0 was booted', look({}), running(), { ...now, bootId: 'next' }, 'reboot'],
    ['the backend was restarted', look({}), running(7), now, 'restart'],
    ['the frontend was restarted', look({}), running(1, 7), now, 'restart'],
    [
      'the frontend is halted',
      look({}),
      new Map([['sys-usb', socket('sys-usb', 1)]]) as never,
      now,
      'restart',
    ],
    ['a socket tells no id', look({}), running(null, null), now, null],
    ['the device is gone', look(null), running(), now, 'unplug'],
    ['the device may be beyond the limit', look(null, true), running(), now, null],
    ['it was plugged again', look({ devnum: 4 }), running(), now, 'unplug'],
    ['another sits there', look({ serial: 'T' }), running(), now, 'unplug'],
    [
      'it came free after a sleep',
      look({ attachedTo: null, state: 'free' }),
      running(),
      { ...now, slept: 400 },
      'suspend',
    ],
    ['it came free', look({ attachedTo: null, state: 'free' }), running(), now, 'other-tool'],
    [
      'another qube has it',
      look({ attachedTo: 'vault' as never }),
      running(),
      { ...now, slept: 400 },
      'other-tool',
    ],
    ['nobody can say', look({ attachedTo: null, state: 'unknown' }), running(), now, null],
    ['the backend was not asked', { surveys: new Map() }, running(), now, null],
  ])('%s', (_what, seen, sockets, moment, ending) => {
    expect(endingOf(record, seen, sockets, moment)).toBe(ending)
  })
})
