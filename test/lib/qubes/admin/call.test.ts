import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { QusbError } from '../../../../src/lib/errors.ts'
import type { QubeName } from '../../../../src/lib/model/names.ts'
import { AdminError } from '../../../../src/lib/qubes/admin/admin-error.ts'
import { formatPercent, parseAnswer } from '../../../../src/lib/qubes/admin/answer.ts'
import { callAdmin } from '../../../../src/lib/qubes/admin/call.ts'
import { formatRequest } from '../../../../src/lib/qubes/admin/request.ts'
import { type FakeQubesd, type Reply, startFakeQubesd } from './fake-qubesd.ts'

let fake: FakeQubesd | undefined
afterEach(async () => {
  await fake?.close()
  fake = undefined
})

async function answered(reply: Reply, options: { timeoutMs?: number; signal?: AbortSignal } = {}) {
  fake = await startFakeQubesd(() => reply)
  return await callAdmin(fake.site, { method: 'admin.vm.List', ...options }).then(
    (data) => data.toString(),
    (error: unknown) => error,
  )
}

describe('a request', () => {
  it('has a plus, a source and a destination, and ends in its payload', () => {
    expect(formatRequest({ method: 'admin.vm.List' })).toBe('admin.vm.List+ dom0 name dom0\0')
    expect(
      formatRequest({
        method: 'admin.vm.device.usb.Attach',
        arg: 'sys-usb+2-1+_',
        dest: 'work' as QubeName,
        payload: "port_id='2-1'",
      }),
    ).toBe("admin.vm.device.usb.Attach+sys-usb+2-1+_ dom0 name work\0port_id='2-1'")
  })

  it.each([
    ['a space in the argument', { arg: 'a b' }],
    ['a NUL in the argument', { arg: 'a\0b' }],
    ['no qube', { dest: 'no qube' as QubeName }],
    ['a line feed in the payload', { payload: 'a\nb' }],
    ['too much', { payload: 'a'.repeat(70_000) }],
  ])('is not made with %s', (_, call) => {
    expect(() => formatRequest({ method: 'admin.vm.List', ...call })).toThrow(Error)
  })
})

describe('an answer', () => {
  it('arrives whole, in however many pieces', async () => {
    const inPieces = (socket: Socket): void => {
      socket.write('0')
      setImmediate(() => socket.write('\0work class=AppVM'))
      setTimeout(() => socket.end(' state=Running\n'), 20)
    }
    expect(await answered(inPieces)).toBe('work class=AppVM state=Running\n')
    expect(fake?.requests).toEqual(['admin.vm.List+ dom0 name dom0\0'])
  })

  it.each([
    ['QubesVMNotFoundError', 'NOT_FOUND'],
    ['QubesVMNotRunningError', 'NOT_RUNNING'],
    ['QubesVMNotStartedError', 'NOT_RUNNING'],
    ['DeviceAlreadyAttached', 'CONFLICT'],
    ['UnrecognizedDevice', 'CONFLICT'],
    ['QubesUSBException', 'ATTACH_FAILED'],
    ['SomethingNew', 'ATTACH_FAILED'],
    ['toString', 'ATTACH_FAILED'],
  ])('%s is %s, with its own words', async (type, code) => {
    const error = await answered(`2\0${type}\0\0%s: no such %d%%\0work\x007\0`)
    expect(error).toBeInstanceOf(QusbError)
    expect(error).toMatchObject({ code, type, message: 'qubesd: work: no such 7%', detail: type })
  })

  it.each([
    ['nothing', ''],
    ['an aborted connection', (socket: Socket) => socket.destroy()],
  ])('%s is a refusal', async (_, reply) => {
    expect(await answered(reply)).toMatchObject({ code: 'REFUSED', type: 'empty' })
  })

  it.each([
    ['text', 'hello'],
    ['one byte', '0'],
    ['an event', '1\0\0connection-established\0\0'],
    ['an exception without message', '2\0Error\0'],
    ['an exception without name', '2\0\0\0text\0'],
    ['more than there can be', Buffer.alloc(1_100_000, 0x30)],
  ])('%s is none', async (_, reply) => {
    expect(await answered(reply)).toMatchObject({ code: 'NOT_RUNNING', type: 'malformed' })
  })

  it('that does not come is not waited for', async () => {
    expect(await answered(() => {}, { timeoutMs: 60 })).toMatchObject({ code: 'TIMEOUT', type: 'timeout' })
    expect(fake?.open).toBeLessThanOrEqual(1)
  })

  it('that drips is cut off by the same limit', async () => {
    const drip = (socket: Socket): void => {
      const timer = setInterval(() => socket.write('0'), 5)
      socket.on('close', () => clearInterval(timer))
    }
    expect(await answered(drip, { timeoutMs: 100 })).toMatchObject({ type: 'timeout' })
  })

  it('is given up at once when the user interrupts', async () => {
    const controller = new AbortController()
    const reason = new QusbError('INTERRUPTED', 'interrupted')
    const running = answered(() => controller.abort(reason), { signal: controller.signal })
    expect(await running).toBe(reason)
    expect(
      await callAdmin(fakeSite(), { method: 'admin.vm.List', signal: controller.signal }).catch((e) => e),
    ).toBe(reason)
  })

  it('of a qubesd that is not there is NOT_RUNNING', async () => {
    fake = await startFakeQubesd(() => undefined)
    await fake.stop()
    const error = await callAdmin(fake.site, { method: 'admin.vm.List' }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(AdminError)
    expect(error).toMatchObject({ code: 'NOT_RUNNING', type: 'unreachable' })
  })

  it('is never harmful, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'binary', maxLength: 60 })),
        fc.boolean(),
        (bytes, exception) => {
          const raw = Buffer.concat([Buffer.from(exception ? '2\0E\0\0' : ''), Buffer.from(bytes as string)])
          const answer = parseAnswer(raw)
          if (answer.kind !== 'exception') return
          expect(answer.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]/u)
          expect(answer.message.length).toBeLessThanOrEqual(500)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

function fakeSite() {
  if (fake === undefined) throw new Error('no fake')
  return fake.site
}

describe('formatting', () => {
  it.each([
    ['%s and %r', ['a', 'b'], "a and 'b'"],
    ['100% of %d', ['3'], '100% of 3'],
    ['%s %s', ['a'], 'a %s'],
    ['%%s', ['a'], '%s'],
    ['%(name)s', ['a'], '%(name)s'],
    ['no more', ['a', 'b'], 'no more'],
    ['%5.2f', ['2'], '2'],
  ])('%s with %j', (format, args, text) => {
    expect(formatPercent(format, args)).toBe(text)
  })
})
