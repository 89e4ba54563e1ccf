import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, constants, openSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningLab } from '../../../src/lab/client.ts'
import { eventually, inQube, type LabOfTest, openLabOfTest } from '../lab-fixture.ts'

let test: LabOfTest
let lab: RunningLab
const client = () => join(lab.dir, 'dom0/bin/qrexec-client')
const shell = 'DEFAULT:QUBESRPC qubes.VMShell dom0'

beforeAll(async () => {
  test = await openLabOfTest({
    qubes: [
      { name: 'work' },
      { name: 'frozen' },
      { name: 'halted', state: 'halted' },
      { name: 'dead' },
      { name: 'noisy', profileNoise: 'welcome\n' },
    ],
  })
  lab = test.lab
  await lab.fault('killed', 'dead')
  await lab.fault('agent-frozen', 'frozen')
  const rpc = join(lab.dir, 'qubes/work/etc/qubes-rpc')
  for (const [name, script, mode] of [
    [
      'lab.Tell',
      'echo "$QREXEC_REMOTE_DOMAIN|$QREXEC_SERVICE_FULL_NAME|$QREXEC_SERVICE_ARGUMENT|$QUSB_USER|$1"',
      0o755,
    ],
    ['lab.Closed', 'exit 1', 0o644],
    ['lab.Special+x', 'echo special', 0o755],
    ['lab.Special', 'echo general', 0o755],
  ] as const) {
    writeFileSync(join(rpc, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(rpc, name), mode)
  }
})
afterAll(() => test?.close())

describe('exit codes and silences', () => {
  it.each([
    ['the code of the service', 'work', shell, 'exit 7\n', 7, ''],
    ['128 and the signal', 'work', shell, 'kill -TERM $$\n', 143, ''],
    ['a service that is missing', 'work', 'root:QUBESRPC lab.None dom0', '', 127, ''],
    ['a service that may not run', 'work', 'root:QUBESRPC lab.Closed dom0', '', 125, ''],
    [
      'a halted qube',
      'halted',
      shell,
      '',
      125,
      'connect /var/run/qubes/qrexec.halted: No such file or directory\n',
    ],
    [
      'an unknown qube',
      'nobody',
      shell,
      '',
      125,
      'connect /var/run/qubes/qrexec.nobody: No such file or directory\n',
    ],
    ['a stale socket', 'dead', shell, '', 125, 'connect /var/run/qubes/qrexec.dead: Connection refused\n'],
    ['no such user', 'work', 'nobody:QUBESRPC qubes.VMShell dom0', '', 125, 'No such user: nobody\n'],
    ['a malformed command', 'work', 'nonsense', '', 125, ''],
    ['a command in a login shell', 'work', 'root:echo $((6 * 7)); exit 4', '', 4, ''],
  ])('%s', async (_, qube, command, input, code, stderr) => {
    const result = await lab.call(qube, command, input)
    expect([result.code, result.stderr]).toEqual([code, stderr])
  })

  it('gives up on an agent that does not answer after -w seconds', async () => {
    const result = await lab.call('frozen', shell, '', ['-w', '1'])
    expect([result.code, result.stderr]).toEqual([125, 'qrexec connection timeout\n'])
  })

  it('goes through when the agent thaws meanwhile', async () => {
    const pending = lab.call('frozen', shell, 'echo back\n')
    await lab.fault('agent-frozen', 'frozen', { off: true })
    expect((await pending).stdout.toString()).toBe('back\n')
    await lab.fault('agent-frozen', 'frozen')
  })

  it.each([[['-Z']], [['--nope']], [['-d']]])('prints usage and exits 0 for %s', async (flags) => {
    const result = await lab.call('work', shell, '', flags.length === 1 && flags[0] === '-d' ? ['-x'] : flags)
    expect(result.code).toBe(0)
    expect(result.stdout.toString()).toContain('usage: qrexec-client')
  })

  it('hides the exit code with -E', async () => {
    expect((await lab.call('work', shell, 'exit 9\n', ['-E'])).code).toBe(0)
  })

  it('does not wait with -e', async () => {
    const flag = join(lab.dir, 'qubes/work/tmp/ran')
    const result = await lab.call('work', `root:sleep 0.2; touch ${flag}`, '', ['-e'])
    expect([result.code, result.stdout.length]).toEqual([0, 0])
    await eventually(
      () => readdirSync(join(lab.dir, 'qubes/work/tmp')),
      (names) => names.includes('ran'),
    )
  })

  it('kills the domain with -k', async () => {
    await lab.fault('start', 'halted')
    expect((await lab.call('halted', shell, '', ['-k'])).code).toBe(0)
    await eventually(
      () => lab.call('halted', shell),
      (result) => result.code === 125,
    )
    await lab.fault('start', 'halted')
    await lab.fault('halt', 'halted')
  })
})

describe('streams', () => {
  it('keeps stdout, stderr and the code apart', async () => {
    const result = await lab.call('work', shell, 'echo out; echo err >&2; exit 3\n')
    expect([result.stdout.toString(), result.stderr, result.code]).toEqual(['out\n', 'err\n', 3])
  })

  it.each([
    ['no newline at its end', 'printf "a\\nb" >&2', 'a\nb'],
    ['one line without its end', 'printf a >&2', 'a'],
    ['blanks and backslashes', "printf '%s\\n' '  a\\b ' '\\c' >&2", '  a\\b \n\\c\n'],
    ['an empty line first', 'printf "\\nb\\n" >&2', '\nb\n'],
    ['more than a pipe holds', 'head -c 200000 /dev/zero | tr "\\000" x >&2', 'x'.repeat(200_000)],
  ])('carries stderr unchanged: %s', async (_, script, said) => {
    const result = await lab.call('work', shell, `${script}\n`)
    expect(result.stderr).toBe(said)
    expect(result.code).toBe(0)
  })

  it('carries a megabyte each way unchanged', async () => {
    const data = Buffer.alloc(1024 * 1024, 'the quick brown fox\0\xff\n', 'latin1')
    const result = await lab.call('work', 'root:cat', data as unknown as string)
    expect(result.stdout.equals(data)).toBe(true)
  })

  it('replaces control and other bytes with -t', async () => {
    const result = await lab.call('work', shell, 'printf "a\\033[31m\\303\\251\\tb\\n"\n', ['-t'])
    expect(result.stdout.toString('latin1')).toBe('a_[31m__\tb\n')
  })

  it('connects a local program with -l', async () => {
    const result = await lab.call('work', 'root:read line; echo "$line" > got', '', ['-l', 'echo hello'])
    expect(result.code).toBe(0)
    expect(await inQube(lab, 'work', 'cat got')).toBe('hello')
  })

  it('lets a profile speak before a service', async () => {
    expect((await lab.call('noisy', shell, 'echo data\n')).stdout.toString()).toBe('welcome\ndata\n')
  })

  it('tells a service its caller, argument and user', async () => {
    const result = await lab.call('work', 'root:QUBESRPC lab.Tell+a.b dom0')
    expect(result.stdout.toString()).toBe('dom0|lab.Tell+a.b|a.b|root|a.b\n')
  })

  it.each([
    ['lab.Special+x', 'special\n'],
    ['lab.Special+y', 'general\n'],
  ])('takes the file for the argument first: %s', async (service, said) => {
    expect((await lab.call('work', `root:QUBESRPC ${service} dom0`)).stdout.toString()).toBe(said)
  })
})

describe('clients that are killed', () => {
  const start = (script: string) => {
    const child = spawn(client(), ['-d', 'work', `root:${script}`], { stdio: ['pipe', 'pipe', 'ignore'] })
    child.stdin.on('error', () => undefined)
    return child
  }

  it('gives the service end-of-file and no signal, and the service goes on', async () => {
    // The caller keeps its end of stdin open, and end-of-file comes all the same. (Node closes that of a pipe.)
    const stdin = join(lab.dir, 'stdin')
    execFileSync('mkfifo', [stdin])
    const fd = openSync(stdin, constants.O_RDWR)
    const script = 'root:echo begun; cat >/dev/null; echo after > survived'
    const child = spawn(client(), ['-d', 'work', script], { stdio: [fd, 'pipe', 'ignore'] })
    await once(child.stdout as Readable, 'data')
    child.kill('SIGKILL')
    await eventually(
      () => lab.exec('work', ['cat', 'survived']),
      (result) => result.stdout.toString() === 'after\n',
    )
    closeSync(fd)
  })

  it('leaves no FIFO, however early they die', async () => {
    const children = Array.from({ length: 20 }, (_, index) => {
      const child = start('cat')
      setTimeout(() => child.kill('SIGKILL'), index * 3)
      return once(child, 'exit').then(() => child.stdin.destroy())
    })
    await Promise.all(children)
    await eventually(
      () => readdirSync(join(lab.dir, 'calls')),
      (names) => names.length === 0,
      8000,
    )
    await eventually(
      () => inQube(lab, 'work', 'ps -e -o args= 2>/dev/null | grep -c "^cat$" || :'),
      (count) => Number(count) === 0,
    )
  })

  it('ends calls to a qube that is killed', async () => {
    await lab.fault('start', 'dead')
    const child = spawn(client(), ['-d', 'dead', 'root:echo begun; sleep 100'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    await lab.fault('killed', 'dead')
    expect((await ended)[0]).toBe(125)
  })
})

it('serves fifty calls at once', async () => {
  const results = await Promise.all(
    Array.from({ length: 50 }, (_, index) => lab.call('work', shell, `echo ${index}\n`)),
  )
  expect(results.map((result) => result.stdout.toString())).toEqual(
    Array.from({ length: 50 }, (_, index) => `${index}\n`),
  )
})

describe('qrexec-policy-exec', () => {
  const evaluate = async (source: string, target: string, service: string) => {
    const child = spawn(
      join(lab.dir, 'dom0/bin/qrexec-policy-exec'),
      ['--just-evaluate', source, target, service],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [code] = await once(child, 'close')
    return { code, stderr }
  }

  it('says allow by its exit code, and which line', async () => {
    const file = join(lab.dir, 'dom0/etc/qubes/policy.d/30-user.policy')
    writeFileSync(file, '# mine\nqubes.USB +2-1 work frozen allow\nqubes.USB * work frozen deny\n')
    expect(await evaluate('work', 'frozen', 'qubes.USB+2-1')).toEqual({
      code: 0,
      stderr: `qrexec: qubes.USB+2-1: work -> frozen: allow by ${file}:2\n`,
    })
    expect(await evaluate('work', 'frozen', 'qubes.USB+2-2')).toEqual({
      code: 1,
      stderr: `qrexec: qubes.USB+2-2: work -> frozen: deny by ${file}:3\n`,
    })
    expect((await evaluate('work', 'nobody', 'qubes.USB+2-1')).code).toBe(1)
  })
})
