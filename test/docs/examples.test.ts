import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeCommands, type Manifest } from '../../scripts/reference/commands.ts'
import { type Bench, startBench, until } from '../e2e/program.ts'
import { NEEDS, type Need } from './example-needs.ts'

const manifest: Manifest = JSON.parse(readFileSync('oclif.manifest.json', 'utf8'))
const commands = describeCommands(manifest)
const examples = commands.flatMap((command) => command.examples.map((example) => example.command))

/** Programs that examples call by their names; what there is not on this machine stands in. */
const PROGRAMS = {
  // This machine has no group qubes.
  qusb: `case $1 in setup) set -- "$@" --group root ;; esac
exec '${process.execPath}' '${resolve('bin/qusb.cjs')}' "$@"`,
  sudo: 'exec "$@"',
  'qvm-run': `case "$*" in
*/etc/usbguard/rules.conf*) echo 'allow id 0951:1666 serial "4711" name "Stick"' ;;
*) echo "qvm-run $*" ;;
esac`,
}

const home = mkdtempSync(join(tmpdir(), 'qusb-examples-'))
let bench: Bench
let env: NodeJS.ProcessEnv

beforeAll(async () => {
  const bin = join(home, 'bin')
  mkdirSync(bin)
  for (const [name, script] of Object.entries({ ...PROGRAMS, 'on-usb': 'echo "told of $QUSB_EVENT"' })) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  writeFileSync(join(home, 'client.conf'), 'client.usb.share_list=0951:1666, 1050:0407@0012345\n')
  bench = await startBench({
    qubes: [
      { name: 'fedora-42-minimal', class: 'TemplateVM', state: 'halted' },
      { name: 'sys-usb', backend: true, template: 'fedora-42-minimal' },
      { name: 'work' },
      { name: 'vault' },
      { name: 'untrusted' },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick' },
      { backend: 'sys-usb', port: '1-2', kind: 'security-key', serial: '0012345' },
      { backend: 'sys-usb', port: '1-3', kind: 'keyboard' },
      { backend: 'sys-usb', port: '1-4', kind: 'serial', vendorId: '2e8a', productId: '0003' },
    ],
    assignments: [
      { frontend: 'work', backend: 'sys-usb', device: '0951:1666:60A44C413C8FB171A97600B1:u080650' },
    ],
  })
  // Labs of examples have the name that all have, and a place of their own.
  env = { ...bench.env, HOME: home, QUSB_LAB_DIR: join(home, 'labs'), PATH: `${bin}:${process.env.PATH}` }
})
afterAll(async () => {
  await bench?.end()
  if (existsSync(join(home, 'labs/lab'))) await start('qusb lab down')
  rmSync(home, { recursive: true })
})

/** Runs a line in a shell; what it prints on both streams is one text. */
function start(line: string, { shell = 'bash', input = '' }: Pick<Need, 'shell' | 'input'> = {}) {
  // Settings of whoever runs the tests are not to count.
  const plain = { bash: [], zsh: ['-f'], fish: ['--no-config'] }[shell]
  return execa(shell, [...plain, '-c', line], {
    cwd: home,
    env,
    extendEnv: false,
    input,
    all: true,
    reject: false,
    timeout: 30_000,
  })
}

/** Interrupts what runs until then as soon as it says so; where it never does, what it said is looked at all the same. */
async function interruptWhen(running: ReturnType<typeof start>, says: RegExp): Promise<void> {
  let said = ''
  let ended = false
  running.all.on('data', (text: Buffer) => {
    said += text
  })
  running.once('exit', () => {
    ended = true
  })
  await until(`${says}`, () => ended || says.test(said)).catch(() => undefined)
  running.kill('SIGINT')
}

/** As it was in the beginning: what was attached is free, and nothing is configured. */
async function undo(): Promise<void> {
  const state = join(bench.lab.dir, 'dom0/var/lib/qusb/state.json')
  if (existsSync(state) && readFileSync(state, 'utf8').includes('"id"')) await start('qusb detach --all')
  for (const name of ['aliases.json', 'rules.d']) {
    rmSync(join(bench.lab.dir, 'dom0/etc/qusb', name), { recursive: true, force: true })
  }
}

describe('every example of the help', () => {
  it('is in the table of what examples need, and nothing else is', () => {
    expect(Object.keys(NEEDS).sort()).toEqual([...new Set(examples)].sort())
    expect(commands.filter((command) => command.examples.length === 0)).toEqual([])
  })

  it.for(Object.entries(NEEDS))('%s', async ([example, need], { skip }) => {
    // Where all tests are to run, a shell that is missing is a fault.
    if (!process.env.CI && need.shell !== undefined && !isThere(need.shell)) skip()
    try {
      expect(await tryExample(example, need)).toEqual({
        code: need.endless ? 130 : 0,
        said: expect.stringMatching(need.says),
      })
    } finally {
      await undo()
      if (example.includes('qusb lab up')) await start('qusb lab down')
    }
  })
})

async function tryExample(example: string, need: Need): Promise<{ code: unknown; said: string }> {
  const { before = 'true', after = 'true' } = need
  // What is sourced needs its own shell for that.
  if (need.shell === undefined) expect(await start(before)).toMatchObject({ exitCode: 0 })
  if (need.asks !== undefined) return await answer(example, need.asks)
  const lines = [need.shell === undefined ? 'true' : before, example, after]
  const running = start(need.endless ? `exec ${example}` : lines.join(' && '), need)
  if (need.endless) await interruptWhen(running, need.says)
  const { exitCode, all } = await running
  return { code: exitCode, said: all }
}

async function answer(
  example: string,
  [question, keys]: [string, string],
): Promise<{ code: unknown; said: string }> {
  const typed = bench.onTerminal(...example.split(' ').slice(1))
  await until(question, () => typed.screen().includes(question))
  typed.type(keys)
  return { code: await typed.code, said: typed.screen() }
}

function isThere(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined
}
