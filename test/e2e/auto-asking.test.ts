import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, expectClean, grants, startBench, until } from './program.ts'
import { startWatch, type Watching, writeRules } from './watching.ts'

describe('watch --auto', () => {
  let bench: Bench
  let watching: Watching | undefined
  beforeAll(async () => {
    bench = await startBench({
      qubes: [{ name: 'sys-usb', backend: true }, { name: 'work' }, { name: 'vault' }],
      qubesd: 'none',
    })
  })
  afterEach(async () => {
    await watching?.end()
    watching = undefined
    for (const { backend, port } of (await bench.lab.status()).devices) await bench.lab.unplug(backend, port)
    for (const name of ['zenity', 'kdialog', 'notify-send']) rmSync(dialog(name), { force: true })
  })
  afterAll(async () => await bench?.end())

  const dialog = (name: string): string => join(bench.lab.dir, 'dom0/bin', name)
  const said = (name: string): string => `${dialog(name)}.said`
  /** Puts a dialog into the lab's dom0 that writes down what it is called with, and answers. */
  const putDialog = (name: string, answer: string): void => {
    rmSync(said(name), { force: true })
    writeFileSync(dialog(name), `#!/bin/sh\nprintf '%s\\n' "$@" "DISPLAY $DISPLAY" >>"$0.said"\n${answer}\n`)
    chmodSync(dialog(name), 0o755)
  }
  const start = async (args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Watching> => {
    watching = startWatch(bench, ['--auto', '--every', '1', ...args], { env: { DISPLAY: ':99', ...env } })
    await watching.told('watching surveys')
    return watching
  }
  const attachedTo = async (port: string) => (await bench.device(port))?.attachedTo

  it('asks on the desktop, without markup, and only a yes is yes', async () => {
    writeRules(bench, '*  *  work  ask')
    putDialog('zenity', 'exit 0')
    const { told } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', product: '<b>Key</b> \\n &amp;' })
    await told('rule-attached 2-1 work')
    const words = readFileSync(said('zenity'), 'utf8')
    expect(words).toContain('--no-markup\n')
    expect(words).toContain('--timeout=60\n')
    expect(words).toContain('<b>Key</b> \\\\n &amp;')
    expect(words).toContain('DISPLAY :99')

    putDialog('zenity', 'exit 5')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'NO' })
    await told('rule-refused 2-2 work')
    expect(await attachedTo('2-2')).toBeNull()
  })

  it('asks with kdialog where there is no zenity, and shows it no markup', async () => {
    writeRules(bench, '*  *  work  ask')
    putDialog('kdialog', 'exit 0')
    const { told } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick', product: '<b>Key</b>' })
    await told('rule-attached 2-1 work')
    expect(readFileSync(said('kdialog'), 'utf8')).toMatch(/--warningyesno\n.*_b_Key_/)
  })

  it('takes no desktop, and no dialog, for a no', async () => {
    writeRules(bench, '*  *  work  ask')
    const { told, events } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('rule-refused 2-1 work')
    expect(events().at(-1)).toMatchObject({ message: 'nobody could be asked', rule: '50-test.rules:1' })
    expect(await attachedTo('2-1')).toBeNull()
  })

  it('asks on the terminal where it runs on one, and only a yes is yes', async () => {
    writeRules(bench, '*  *  work  ask')
    const onScreen = bench.onTerminal('watch', '--auto', '--every', '1')
    const answer = async (port: string, key: string): Promise<void> => {
      await bench.lab.plug({ backend: 'sys-usb', port, kind: 'stick', serial: port })
      await until('it asks', () => onScreen.screen().includes(`at sys-usb:${port} to work?`))
      onScreen.type(`${key}\r`)
    }
    await until('it watches', () => existsSync(join(bench.lab.dir, 'dom0/run/qusb/plugged.sock')))
    await answer('2-1', 'n')
    await answer('2-2', 'y')
    await until('the yes counts', async () => (await attachedTo('2-2')) === 'work')
    expect(await attachedTo('2-1')).toBeNull()
    onScreen.type('\u0003')
    expect(await onScreen.code, onScreen.screen()).toBe(130)
  })

  it('withdraws the question when the device leaves', async () => {
    writeRules(bench, '*  *  work  ask')
    putDialog('zenity', 'echo $$ >"$0.pid"; exec sleep 50')
    const { told } = await start()
    const pidFile = `${dialog('zenity')}.pid`
    rmSync(pidFile, { force: true })
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await until('it asks', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '')
    await bench.lab.unplug('sys-usb', '2-1')
    await told('device-removed 2-1')
    const pid = readFileSync(pidFile, 'utf8').trim()
    await until('the dialog has gone', () => !existsSync(`/proc/${pid}`))
  })

  it('gives a keyboard back that nobody confirms, keeps one that somebody does, and asks of no stick', async () => {
    writeRules(bench, '*  *  work  allow  notify=yes')
    putDialog('notify-send', 'exit 0')
    putDialog('zenity', 'exit 1')
    const { told } = await start(['--confirm-input=2s'])
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'keyboard' })
    await told('rule-given-back 1-1 work')
    await expectClean(bench, '1-1', 'work')
    expect(readFileSync(said('zenity'), 'utf8')).toContain('--timeout=2\n')
    putDialog('zenity', 'exit 0')
    await bench.lab.plug({ backend: 'sys-usb', port: '1-2', kind: 'keyboard', serial: 'KEPT' })
    await told('rule-attached 1-2 work')
    rmSync(said('zenity'))
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('rule-attached 2-1 work')
    expect(existsSync(said('zenity'))).toBe(false)
    expect(await attachedTo('1-2')).toBe('work')
    await until('it is said on the desktop', () =>
      readFileSync(said('notify-send'), 'utf8').includes('Kingston DataTraveler 3.0 is attached to work.'),
    )
  })

  it('takes back what nobody has confirmed yet when it is ended', async () => {
    writeRules(bench, '*  *  work  allow')
    putDialog('zenity', 'exec sleep 50')
    const watcher = await start(['--confirm-input=60s'])
    await bench.lab.plug({ backend: 'sys-usb', port: '1-1', kind: 'keyboard' })
    await until('it asks', () => existsSync(said('zenity')))
    expect(await attachedTo('1-1')).toBe('work')
    await watcher.end('SIGTERM')
    watching = undefined
    await expectClean(bench, '1-1', 'work')
  })

  it('runs a program for each event, told in its environment alone', async () => {
    writeRules(bench, '*  *  work  allow')
    const program = join(bench.lab.dir, 'on-usb')
    const lines = join(bench.lab.dir, 'on-usb.lines')
    writeFileSync(
      program,
      `#!/bin/sh\necho "$# $QUSB_EVENT $QUSB_BACKEND $QUSB_PORT $QUSB_FRONTEND $QUSB_VENDOR_ID $QUSB_RULE" >>'${lines}'\n`,
    )
    chmodSync(program, 0o755)
    const { told } = await start(['--exec', program])
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('rule-attached 2-1 work')
    const wanted = '0 rule-attached sys-usb 2-1 work 0951 50-test.rules:1'
    await until(
      'the program was told',
      () => existsSync(lines) && readFileSync(lines, 'utf8').includes(wanted),
    )
    expect(readFileSync(lines, 'utf8')).toContain('0 device-added sys-usb 2-1  0951 \n')
  })

  it('attaches nothing while a rule is broken, says so once, and goes on when it is mended', async () => {
    writeRules(bench, '*  *  work  allow', '*  *  vault  alow')
    const { told, stderr } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('device-added 2-1')
    await bench.lab.plug({ backend: 'sys-usb', port: '2-2', kind: 'stick', serial: 'OTHER' })
    await told('device-added 2-2')
    expect(await attachedTo('2-1')).toBeNull()
    expect(stderr().match(/nothing is attached by rule/g)).toHaveLength(1)
    expect(stderr()).toContain('50-test.rules:2')
    writeRules(bench, '*  *  work  alow')
    await until('it says so again', () => stderr().match(/nothing is attached by rule/g)?.length === 2)
    writeRules(bench, '*  *  work  allow')
    await told('rule-attached 2-1 work', 'rule-attached 2-2 work')
  })

  it('is one at a time', async () => {
    writeRules(bench)
    const { pid } = await start()
    const second = await bench.qusb('watch', '--auto', '--json')
    expect(second).toMatchObject({ code: 5, json: { error: { code: 'CONFLICT' } } })
    expect(second.json.error.hint).toContain(String(pid))
    // One that was killed keeps nobody out.
    await watching?.end('SIGKILL')
    await start()
  })

  it('tries again as often as the rule says, with pauses, then leaves it', async () => {
    writeRules(bench, '*  *  work  allow  retry=2')
    await bench.lab.fault('no-free-port', 'work')
    const { told, events } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('rule-failed 2-1 work', 'rule-failed 2-1 work', 'rule-failed 2-1 work')
    const times = events()
      .filter(({ event }) => event === 'rule-failed')
      .map(({ at }) => Date.parse(at))
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(1000)
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(2000)
    await bench.lab.fault('no-free-port', 'work', { off: true })
    // New rules are a new chance.
    writeRules(bench, '*  *  work  allow')
    await told('rule-attached 2-1 work')
  })

  it('undoes an attach that is under way when it is told to end', async () => {
    writeRules(bench, '*  *  work  allow')
    await bench.lab.fault('slow-attach', 'sys-usb', { value: '3' })
    const { told, end, stderr } = await start()
    await bench.lab.plug({ backend: 'sys-usb', port: '2-1', kind: 'stick' })
    await told('device-added 2-1')
    await until('it attaches', () => grants(bench).length > 0)
    expect(await end()).toBe(143)
    watching = undefined
    expect(stderr()).toContain('undoing what was begun')
    await bench.lab.fault('slow-attach', 'sys-usb', { off: true })
    await expectClean(bench, '2-1', 'work')
  })
})
