import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, startBench, type Typed, until } from './program.ts'

let bench: Bench

beforeAll(async () => {
  bench = await startBench()
})
afterAll(async () => await bench.end())

const onTerminal = (...args: string[]): Typed => bench.onTerminal(...args)

describe('on a terminal', () => {
  it('draws a table, and says which site it uses', async () => {
    const list = onTerminal('list')
    expect(await list.code).toBe(0)
    expect(list.screen()).toContain('BACKEND:PORT')
    expect(list.screen()).toContain('QUSB_SITE')
    expect(list.screen()).toMatch(/sys-usb:2-1 +0951:1666 +storage: Kingston/)
  })

  it('asks for what attach and detach are not told', { timeout: 60_000 }, async () => {
    const attaching = onTerminal('attach', 'sys-usb')
    await until('the first question', () => attaching.screen().includes('Which device?'))
    // The stick is the last of six.
    attaching.type('\u001b[A\r')
    await until('the second question', () => attaching.screen().includes('To which qube?'))
    attaching.type('\r')
    expect(await attaching.code, attaching.screen()).toBe(0)
    const { attachedTo } = await bench.device('2-1')
    expect(['untrusted', 'vault', 'work']).toContain(attachedTo)

    const detaching = onTerminal('detach')
    await until('the question', () => detaching.screen().includes('Which are to be detached?'))
    // The only one there is chosen already.
    detaching.type('\r')
    await until('the end', () => detaching.child.exitCode !== null, 20_000).catch((error) => {
      throw new Error(`${error}: ${JSON.stringify(detaching.screen())}`)
    })
    expect(await detaching.code, detaching.screen()).toBe(0)
    await expectClean(bench, '2-1', attachedTo)
  })

  it('takes Ctrl-C at a question for an answer: nothing is done', async () => {
    const attaching = onTerminal('attach', 'sys-usb', '2-1')
    await until('the question', () => attaching.screen().includes('To which qube?'))
    attaching.type('\u0003')
    expect(await attaching.code).toBe(130)
    expect(attaching.screen()).toContain('nothing was done')
    expect(await bench.device('2-1')).toMatchObject({ state: 'free' })
  })

  it('asks nothing with --no-input', async () => {
    const attaching = onTerminal('attach', 'sys-usb', '2-1', '--no-input')
    expect(await attaching.code).toBe(2)
    expect(attaching.screen()).toContain('FRONTEND is missing')
  })

  it('shows what it waits for after half a second', async () => {
    await bench.lab.fault('late-answer', 'sys-usb', { value: '2' })
    try {
      const list = onTerminal('list')
      expect(await list.code).toBe(0)
      expect(list.screen()).toContain('looking at sys-usb')
    } finally {
      await bench.lab.fault('late-answer', 'sys-usb', { off: true })
    }
  })
})
