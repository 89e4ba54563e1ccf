import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, startBench, until } from './program.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const home = mkdtempSync(join(tmpdir(), 'qusb-shells-'))

let bench: Bench

beforeAll(async () => {
  mkdirSync(join(home, 'bin'))
  // As a package installs it: under its name in PATH.
  writeFileSync(
    join(home, 'bin/qusb'),
    `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/bin/qusb.cjs' "$@"\n`,
    { mode: 0o755 },
  )
  mkdirSync(join(home, 'functions'))
  symlinkSync(join(ROOT, 'share/completions/_qusb'), join(home, 'functions/_qusb'))
  bench = await startBench({
    qubes: [
      { name: 'sys-usb', backend: true },
      { name: 'work' },
      { name: 'vault' },
      { name: 'asleep', state: 'paused' },
      { name: 'off', state: 'halted' },
    ],
    devices: [
      { backend: 'sys-usb', port: '2-1', kind: 'stick', product: 'Cruzer Blade' },
      { backend: 'sys-usb', port: '1-1', kind: 'thermometer' },
      { backend: 'sys-usb', port: '1-4.1', kind: 'webcam' },
    ],
  })
})
afterAll(async () => {
  await bench.end()
  rmSync(home, { recursive: true })
})

interface Answer {
  code: number | null
  stderr: string
  /** `value` to its description. */
  words: Map<string, string>
  ms: number
}

/** Asks as zsh and fish do. */
function ask(line: string, env: NodeJS.ProcessEnv = {}): Answer {
  const began = performance.now()
  const ran = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/qusb.cjs'), '__complete', 'zsh', ...line.split(' ')],
    {
      env: { ...bench.env, LC_ALL: 'C.UTF-8', ...env },
      encoding: 'utf8',
    },
  )
  const lines = ran.stdout.split('\n').slice(0, -1)
  return {
    code: ran.status,
    stderr: ran.stderr,
    words: new Map(lines.map((each) => each.split('\t', 2) as [string, string])),
    ms: performance.now() - began,
  }
}

/** Asks until the answer has this word: on a busy machine a qube may not answer in the time there is. */
async function askFor(word: string, line: string): Promise<Map<string, string>> {
  let words = new Map<string, string>()
  await until(`${word} in the answer to "${line}"`, () => {
    words = ask(line).words
    return words.has(word)
  })
  return words
}

describe('what may come next', () => {
  it('commands, flags and values', () => {
    expect(ask('').words.get('list')).toBe('List the USB devices of the USB qubes, and who has each.')
    expect([...ask('attach --v').words.keys()]).toContain('--via')
    expect([...ask('attach --via ').words.keys()]).toEqual(['qrexec', 'admin'])
  })

  it('backends, then their free devices with what they are, then running qubes', async () => {
    expect([...(await askFor('sys-usb', 'attach ')).keys()]).toEqual(['sys-usb'])
    const devices = await askFor('2-1', 'attach sys-usb ')
    expect([...devices.keys()]).toEqual(['1-1', '1-4.1', '2-1'])
    expect(devices.get('2-1')).toMatch(/^storage: .*Cruzer Blade$/)
    expect([...(await askFor('work', 'attach sys-usb 2-1 ')).keys()]).toEqual(['vault', 'work'])
  })

  it('a device in one word, and by what it is once the word begins so', async () => {
    expect([...(await askFor('sys-usb:2-1', 'attach sys-usb:')).keys()]).toContain('sys-usb:1-4.1')
    const { vendorId, productId } = await bench.device('2-1')
    const identity = `${vendorId}:${productId}`
    expect([...(await askFor(identity, `attach sys-usb ${vendorId}`)).keys()]).toContain(identity)
  })

  it('of detach only what is attached, and its holder', async () => {
    expect(ask('detach ').words).toEqual(new Map())
    expect(await bench.qusb('attach', 'sys-usb', '2-1', 'work')).toMatchObject({ code: 0 })
    try {
      const devices = await askFor('sys-usb:2-1', 'detach ')
      expect([...devices.keys()]).toEqual(['sys-usb:2-1'])
      expect(devices.get('sys-usb:2-1')).toContain('(attached to work)')
      expect([...(await askFor('2-1', 'detach sys-usb ')).keys()]).toEqual(['2-1'])
      expect([...(await askFor('work', 'detach --from ')).keys()]).toEqual(['work'])
      expect([...(await askFor('1-1', 'attach sys-usb ')).keys()]).not.toContain('2-1')
    } finally {
      expect(await bench.qusb('detach', '--all')).toMatchObject({ code: 0 })
    }
  })
})

describe('what is written down', () => {
  it('aliases, of detach only those of what is attached', async () => {
    expect(await bench.qusb('alias', 'add', 'my-stick', 'sys-usb', '2-1')).toMatchObject({ code: 0 })
    try {
      expect((await askFor('my-stick', 'attach ')).get('my-stick')).toContain('Cruzer Blade')
      expect([...ask('alias remove ').words.keys()]).toEqual(['my-stick'])
      // An alias stands for backend and device.
      expect([...(await askFor('work', 'attach my-stick ')).keys()]).toEqual(['sys-usb', 'vault', 'work'])
      expect(ask('detach ').words).toEqual(new Map())
      expect(await bench.qusb('attach', 'my-stick', 'work')).toMatchObject({ code: 0 })
      expect([...(await askFor('my-stick', 'detach ')).keys()].sort()).toEqual(['my-stick', 'sys-usb:2-1'])
    } finally {
      await bench.qusb('detach', '--all')
      expect(await bench.qusb('alias', 'remove', 'my-stick')).toMatchObject({ code: 0 })
    }
  })

  it('rules, by their ids', async () => {
    const added = await bench.qusb('rule', 'add', 'class:storage', 'work', '--json')
    expect(added.code, added.stderr).toBe(0)
    const { json } = await bench.qusb('rule', 'list', '--json')
    const { id } = json.rules[0]
    try {
      expect((await askFor(id, 'rule remove ')).get(id)).toMatch(
        /^50-qusb\.rules:[0-9]+: class:storage +\* +work +allow/,
      )
      expect([...ask(`rule remove ${id} `).words.keys()]).toEqual([])
    } finally {
      expect(await bench.qusb('rule', 'remove', id)).toMatchObject({ code: 0 })
    }
  })

  it('classes of the devices that are there', async () => {
    expect([...(await askFor('class:storage', 'attach class:')).keys()]).toContain('class:camera')
  })
})

describe('it keeps quiet, and in time', () => {
  afterEach(async () => {
    for (const { name, qube } of (await bench.lab.status()).faults)
      await bench.lab.fault(name, qube, { off: true })
  })

  const quiet = { code: 0, stderr: '' }

  it.each([
    ['a backend that does not answer', 'agent-frozen', 'sys-usb', undefined],
    ['a backend that answers late', 'late-answer', 'sys-usb', '5'],
    ['a qubesd that does not answer', 'qubesd-silent', null, undefined],
    ['a backend that never stops', 'hostile-answer', 'sys-usb', 'cat /dev/zero'],
  ] as const)('%s', async (_what, fault, qube, value) => {
    await bench.lab.fault(fault, qube, value === undefined ? {} : { value })
    const answer = ask('attach sys-usb ')
    expect(answer).toMatchObject(quiet)
    // 300 ms inside; the rest is for a busy machine.
    expect(answer.ms).toBeLessThan(2000)
    expect(ask('attach --via ').words.size).toBe(2)
  })

  it('no client of it is left behind', async () => {
    await bench.lab.fault('agent-frozen', 'sys-usb')
    ask('attach sys-usb ')
    const { stdout } = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    expect(
      stdout.split('\n').filter((line) => line.includes(`${bench.lab.dir}/dom0/bin/qrexec-client`)),
    ).toEqual([])
  })

  it.each([
    ['a site that is not there', { QUSB_SITE: '/nonexistent' }],
    ['no site', { QUSB_SITE: '' }],
  ])('%s', (_what, env) => {
    for (const line of ['', 'attach ', 'attach sys-usb ', 'detach ', 'list -'])
      expect(ask(line, env)).toMatchObject(quiet)
  })

  it('words that nobody would type', () => {
    for (const line of ['-- -- --', '\u001b[31m x ', 'attach $(reboot) ', '-', 'attach --from= ', '☃ ', "' "])
      expect(ask(line)).toMatchObject(quiet)
    for (const args of [[], ['bash'], ['bash', '9'], ['tcsh', 'x'], ['zsh']]) {
      const ran = spawnSync(process.execPath, [join(ROOT, 'bin/qusb.cjs'), '__complete', ...args], {
        env: bench.env,
        encoding: 'utf8',
      })
      expect(ran).toMatchObject({ status: 0, stderr: '' })
    }
  })

  it('what a device says of itself is clean, and no word', async () => {
    const product = 'a\u001b]0;x\u0007\u202e`reboot`\\:$(reboot)\t\n'
    await bench.lab.plug({
      backend: 'sys-usb',
      port: '1-2',
      kind: 'thermometer',
      product,
      serial: '$(reboot)',
    })
    try {
      const words = await askFor('1-2', 'attach sys-usb ')
      expect(words.get('1-2')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
      for (const word of words.keys()) expect(word).toMatch(/^[0-9.-]+$/)
    } finally {
      await bench.lab.unplug('sys-usb', '1-2')
    }
  })

  it('starts no qube, and asks none that is paused', async () => {
    for (const line of ['attach ', 'attach sys-usb ', 'attach off ', 'attach asleep ', 'list ']) ask(line)
    const { qubes } = await bench.lab.status()
    expect(qubes).toContainEqual(expect.objectContaining({ name: 'off', state: 'halted' }))
    expect(qubes).toContainEqual(expect.objectContaining({ name: 'asleep', state: 'paused' }))
  })
})

interface Shell {
  name: string
  args: string[]
  /** Typed before anything else. */
  setUp: string
}

const SHELLS: Shell[] = [
  {
    name: 'bash',
    args: ['--norc', '--noprofile', '-i'],
    setUp:
      "bind 'set enable-bracketed-paste off'; bind 'set page-completions off'; source <(qusb completion bash)",
  },
  {
    name: 'zsh',
    args: ['-f', '-i'],
    setUp: `fpath=(${home}/functions $fpath); autoload -U compinit; compinit -u -D; bindkey -e; unsetopt prompt_sp`,
  },
  { name: 'fish', args: ['--no-config', '-i'], setUp: 'qusb completion fish | source' },
]

/** A shell on a terminal of its own, with its completion of qusb. */
function openShell({ name, args, setUp }: Shell) {
  const command = [name, ...args].join(' ')
  const child = spawn('script', ['-qefc', `stty cols 120 rows 40; exec ${command}`, '/dev/null'], {
    cwd: home,
    env: {
      ...bench.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_DATA_HOME: join(home, 'data'),
      // Without it fish leaves a directory in /tmp.
      XDG_RUNTIME_DIR: home,
      HISTFILE: '/dev/null',
      PATH: `${join(home, 'bin')}:${process.env.PATH}`,
      TERM: 'xterm',
      LC_ALL: 'C.UTF-8',
      PS1: '> ',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text
  })
  let count = 0
  const plain = (): string => stripVTControlCharacters(screen)
  const type = (keys: string): void => void child.stdin.write(keys)
  /** Runs a line, and waits for its end. */
  const run = async (line: string): Promise<string> => {
    const mark = `${++count}`
    const from = screen.length
    // Typed in two halves, so that only what is printed has it whole.
    type(`${line}; echo 'do''ne-${mark}-'\r`)
    await until(`${name} has run ${line}: ${JSON.stringify(plain().slice(-500))}`, () =>
      stripVTControlCharacters(screen.slice(from)).includes(`done-${mark}-`),
    )
    return stripVTControlCharacters(screen.slice(from))
  }
  /** What the line has become after these keys, with TAB in them. */
  const complete = async (keys: string): Promise<string> => {
    const mark = `${++count}`
    const from = screen.length
    // To the beginning of the line, to its end, and run: what is printed is the line.
    type(`${keys}\u0001echo 'li''ne-${mark}-<\u0005>'\r`)
    const told = new RegExp(`line-${mark}-<(.*?)>`)
    await until(`${name} has completed ${JSON.stringify(keys)}: ${JSON.stringify(plain().slice(-500))}`, () =>
      told.test(stripVTControlCharacters(screen.slice(from))),
    )
    return told.exec(stripVTControlCharacters(screen.slice(from)))?.[1]?.trimEnd() ?? ''
  }
  return {
    run,
    ready: () => run(setUp),
    /** The line becomes this, perhaps not at once: on a busy machine a qube may not answer in the time there is. */
    becomes: async (keys: string, line: string): Promise<void> => {
      await expect.poll(() => complete(keys), { timeout: 20_000 }).toBe(line)
    },
    /** What it lists below the line. */
    list: async (keys: string, word: string): Promise<string> => {
      const from = screen.length
      type(keys)
      await until(`${name} lists ${word}: ${JSON.stringify(plain().slice(-800))}`, () =>
        stripVTControlCharacters(screen.slice(from)).includes(word),
      )
      return stripVTControlCharacters(screen.slice(from))
    },
    end: async (): Promise<void> => {
      const gone = new Promise((settle) => child.once('close', settle))
      // The terminal goes with it, and with that the shell.
      child.kill('SIGKILL')
      child.stdin.destroy()
      await gone
    },
  }
}

const isThere = (name: string): boolean => spawnSync(name, ['-c', ':']).error === undefined

describe.each(SHELLS)('in $name', (shell) => {
  // Where all tests must run, one that cannot is a failure.
  const isSkipped = !isThere(shell.name) && !process.env.CI

  it.skipIf(isSkipped)(
    'completes commands, flags, qubes and devices, and lists with descriptions',
    async () => {
      const opened = openShell(shell)
      try {
        await opened.ready()
        await opened.becomes('qusb atta\t', 'qusb attach')
        await opened.becomes('qusb setup do\t', 'qusb setup dom0')
        await opened.becomes('qusb attach --dry\t', 'qusb attach --dry-run')
        await opened.becomes('qusb attach sys\t', 'qusb attach sys-usb')
        await opened.becomes('qusb attach sys-usb 2\t', 'qusb attach sys-usb 2-1')
        await opened.becomes('qusb attach sys-usb:2\t', 'qusb attach sys-usb:2-1')
        await opened.becomes('qusb attach sys-usb 2-1 wo\t', 'qusb attach sys-usb 2-1 work')
        await opened.becomes('qusb attach --via=ad\t', 'qusb attach --via=admin')
        await opened.becomes('qusb attach sys-usb nothing\t', 'qusb attach sys-usb nothing')
        expect(await opened.list('qusb attach sys-usb \t\t', 'Cruzer Blade')).toMatch(/1-4\.1/)
      } finally {
        await opened.end()
      }
    },
  )

  it.skipIf(isSkipped)(
    'says nothing where there is nothing, and completes files where a file is meant',
    async () => {
      writeFileSync(join(home, 'my-lab-file.json'), '{}')
      const opened = openShell(shell)
      try {
        await opened.ready()
        await opened.becomes('qusb lab up my-la\t', 'qusb lab up my-lab-file.json')
        await opened.becomes('qusb lab exec work -- stdbu\t', 'qusb lab exec work -- stdbuf')
        await opened.run(
          shell.name === 'fish' ? 'set -gx QUSB_SITE /nonexistent' : 'export QUSB_SITE=/nonexistent',
        )
        await opened.becomes('qusb attach sys\t', 'qusb attach sys')
      } finally {
        await opened.end()
      }
    },
  )
})
