import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, startBench, until } from './program.ts'

const QUSB = `${process.execPath} ${resolve(import.meta.dirname, '../../bin/qusb.cjs')}`

let bench: Bench
let dir: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qusb-run-'))
  bench = await startBench({
    qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }],
    devices: [{ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'STICK' }],
  })
})
afterAll(async () => {
  await bench?.end()
  rmSync(dir, { recursive: true, force: true })
})
afterEach(async () => {
  await bench.qusb('detach', '--all')
})

const WORDS = ['run', 'sys-usb', '2-1', 'work'] as const

describe('run', () => {
  it('has the device attached while the command runs, and its exit code', async () => {
    const ran = await bench.qusb(...WORDS, '--', 'sh', '-c', `${QUSB} list --attached; exit 7`)
    expect(ran.code, ran.stderr).toBe(7)
    // The standard streams are the command's.
    expect(ran.stdout).toMatch(/^sys-usb\t2-1\t.*\twork\n$/)
    await expectClean(bench, '2-1', 'work')
  })

  it('passes arguments as they are, options and all, to no shell', async () => {
    const ran = await bench.qusb(...WORDS, '--', 'printf', '<%s>', '--json', '$HOME', 'a b', '--', '-h')
    expect(ran).toMatchObject({ code: 0, stdout: '<--json><$HOME><a b><--><-h>' })
  })

  it('with --json keeps stdout for the result', async () => {
    const ran = await bench.qusb(...WORDS, '--json', '--', 'sh', '-c', 'echo from the command; exit 3')
    expect(ran).toMatchObject({
      code: 3,
      json: {
        schema: 1,
        changed: true,
        attachment: { port: '2-1', frontend: 'work' },
        command: { exitCode: 3, signal: null },
        detached: true,
      },
    })
    expect(ran.stderr).toContain('from the command')
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('hands %s to the command, and detaches when that has ended', async (signal, code) => {
    const mark = join(dir, signal)
    const running = bench.start([...WORDS, '--', 'sh', '-c', `echo $$ >'${mark}'; exec sleep 60`])
    await until('the command runs', () => existsSync(mark) && readFileSync(mark, 'utf8') !== '')
    running.child.kill(signal)
    expect((await running.done).code).toBe(code)
    await expectClean(bench, '2-1', 'work')
  })

  it('on a terminal lets Ctrl-C reach the command, once, and detaches when that has ended', async () => {
    const running = bench.onTerminal(
      ...WORDS,
      '--',
      'sh',
      '-c',
      "trap 'echo caught' INT; echo up; read line; exit 4",
    )
    await until('the command runs', () => running.screen().includes('up\r'))
    running.type('\u0003')
    await until('it caught the signal', () => running.screen().includes('caught'))
    running.type('\n')
    expect(await running.code, running.screen()).toBe(4)
    expect(running.screen().match(/caught/g)).toHaveLength(1)
    await expectClean(bench, '2-1', 'work')
  })

  it('leaves the end to a command that takes its time', async () => {
    const mark = join(dir, 'trap')
    const script = `trap 'sleep 1; ${QUSB} list --attached >"${mark}.last"; exit 5' TERM; echo >'${mark}'; while :; do sleep 0.1; done`
    const running = bench.start([...WORDS, '--', 'sh', '-c', script])
    await until('the command runs', () => existsSync(mark))
    running.child.kill('SIGTERM')
    expect((await running.done).code).toBe(5)
    expect(readFileSync(`${mark}.last`, 'utf8')).toContain('work')
    await expectClean(bench, '2-1', 'work')
  })

  it('tells of a command that a signal ended', async () => {
    const ran = await bench.qusb(...WORDS, '--json', '--', 'sh', '-c', 'kill -KILL $$')
    expect(ran).toMatchObject({ code: 137, json: { command: { exitCode: 137, signal: 'SIGKILL' } } })
  })

  it('attaches nothing for a command that is none', async () => {
    for (const command of ['no-such-program', '/etc/passwd', '/tmp', '']) {
      const ran = await bench.qusb(...WORDS, '--json', '--', command)
      expect(ran, command).toMatchObject({ code: 2, json: { error: { code: 'USAGE' } } })
    }
    expect(await bench.qusb(...WORDS, '--json')).toMatchObject({
      code: 2,
      json: { error: { code: 'USAGE' } },
    })
    expect(await bench.qusb(...WORDS, 'true', '--json')).toMatchObject({ code: 2 })
    const { json } = await bench.qusb('history', '--json')
    const before = json.events.length
    expect(await bench.qusb(...WORDS, '--', 'no-such-program')).toMatchObject({ code: 2 })
    expect((await bench.qusb('history', '--json')).json.events).toHaveLength(before)
  })

  it('leaves with the qube what it had before', async () => {
    await bench.qusb('attach', 'sys-usb', '2-1', 'work')
    const ran = await bench.qusb(...WORDS, '--json', '--', 'true')
    expect(ran).toMatchObject({ code: 0, json: { changed: false, detached: false } })
    expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'work' })
    const other = await bench.qusb('run', 'sys-usb', '2-1', 'vault', '--json', '--', 'true')
    expect(other).toMatchObject({ code: 5, json: { error: { code: 'CONFLICT' } } })
    const taken = await bench.qusb('run', 'sys-usb', '2-1', 'vault', '--replace', '--json', '--', 'true')
    expect(taken).toMatchObject({ code: 0, json: { changed: true, from: 'work', detached: true } })
  })

  it('never hides that the detach failed', async () => {
    const freeze = `touch '${join(dir, 'up')}'; until [ -e '${join(dir, 'frozen')}' ]; do sleep 0.05; done`
    const running = bench.start([...WORDS, '--json', '--', 'sh', '-c', freeze])
    await until('the command runs', () => existsSync(join(dir, 'up')))
    await bench.lab.fault('agent-frozen', 'sys-usb')
    await bench.inQube('work', `touch '${join(dir, 'frozen')}'`)
    const ran = await running.done
    await bench.lab.fault('agent-frozen', 'sys-usb', { off: true })
    expect(ran.code, ran.stderr).toBe(7)
    expect(ran.json).toMatchObject({
      command: { exitCode: 0 },
      detached: false,
      error: { code: 'NOT_RUNNING' },
    })
    expect(await bench.device('2-1')).toMatchObject({ attachedTo: 'work' })
  })

  it('takes an unplug for a detach, and leaves another device that came alone', async () => {
    const running = bench.start([
      ...WORDS,
      '--json',
      '--',
      'sh',
      '-c',
      `touch '${join(dir, 'out')}'; until [ -e '${join(dir, 'done')}' ]; do sleep 0.05; done`,
    ])
    await until('the command runs', () => existsSync(join(dir, 'out')))
    await bench.lab.unplug('sys-usb', '2-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', serial: 'OTHER' })
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work')).toMatchObject({ code: 0 })
    await bench.inQube('work', `touch '${join(dir, 'done')}'`)
    const ran = await running.done
    expect(ran, ran.stderr).toMatchObject({ code: 0, json: { detached: true } })
    expect(await bench.device('2-1')).toMatchObject({ serial: 'OTHER', attachedTo: 'work' })
  })
})
