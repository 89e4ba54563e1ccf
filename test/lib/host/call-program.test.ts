import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { common } from '../../../scripts/bundle/options.mjs'
import { callProgram, type ProgramCall, type ProgramEnd } from '../../../src/lib/host/call-program.ts'

const scratch = mkdtempSync(join(tmpdir(), 'qusb-call-'))
afterAll(() => rmSync(scratch, { recursive: true }))
writeFileSync(join(scratch, 'plain'), 'no program', { mode: 0o644 })

const outfile = join(scratch, 'bundled.cjs')

/** With execa as the bundle changes it. The program comes with it, since all changes must find their files. */
async function bundled(): Promise<typeof callProgram> {
  const contents = `export { callProgram } from './src/lib/host/call-program.ts'\nexport * from './src/main.ts'`
  await build({
    ...common,
    stdin: { contents, resolveDir: common.absWorkingDir ?? '' },
    define: { __FAULT_POINTS__: 'false' },
    outfile,
  })
  return createRequire(import.meta.url)(outfile).callProgram
}

describe.each([
  ['', callProgram],
  [', in the bundle', await bundled()],
])('a program that is called%s', (_, called) => {
  const call = async (
    file: string,
    args: readonly string[],
    options: Partial<ProgramCall> = {},
  ): Promise<ProgramEnd> =>
    await called(file, args, { stdin: '', timeoutMs: 10_000, stdoutLimit: 1000, ...options })
  const sh = async (script: string, options: Partial<ProgramCall> = {}) =>
    await call('/bin/sh', ['-c', script], options)

  it.each([
    ['is not there', join(scratch, 'none'), []],
    ['may not be run', join(scratch, 'plain'), []],
    ['lies below a file', join(scratch, 'plain/none'), []],
    ['is given more than the kernel takes', '/bin/true', ['x'.repeat(3_000_000)]],
  ])('%s: it is not started', async (_, file, args) => {
    expect(await call(file, args)).toMatchObject({ end: 'not-started', exitCode: null })
  })

  it('reads its input, and says its own', async () => {
    expect(await sh('cat; echo told >&2; exit 7', { stdin: 'asked' })).toEqual({
      end: 'exit',
      exitCode: 7,
      stdout: Buffer.from('asked'),
      stderr: 'told',
    })
  })

  it('gets a descriptor of ours for its input', async () => {
    const fd = openSync(join(scratch, 'plain'), 'r')
    try {
      expect((await sh('cat', { stdin: fd })).stdout.toString()).toBe('no program')
    } finally {
      closeSync(fd)
    }
  })

  it('has nothing of our environment', async () => {
    process.env.QUSB_TEST_SECRET = 'seen'
    try {
      expect((await sh('echo "$QUSB_TEST_SECRET"')).stdout.toString()).toBe('\n')
    } finally {
      delete process.env.QUSB_TEST_SECRET
    }
  })

  it('ends by a signal as 128 and more', async () => {
    expect(await sh('kill -9 $$')).toMatchObject({ end: 'exit', exitCode: 137 })
  })

  it('is ended when it says too much, takes too long, or nobody wants it any more', async () => {
    expect(await sh('exec yes')).toMatchObject({ end: 'overflow' })
    expect(await sh('trap "" TERM; while :; do :; done', { timeoutMs: 200 })).toMatchObject({
      end: 'timeout',
    })
    const giving = new AbortController()
    const given = sh('exec sleep 60', { signal: giving.signal })
    giving.abort()
    expect(await given).toMatchObject({ end: 'aborted' })
    expect(await sh('exec sleep 60', { signal: giving.signal })).toMatchObject({ end: 'aborted' })
    expect(await call(join(scratch, 'none'), [], { signal: giving.signal })).toMatchObject({ end: 'aborted' })
  })

  describe('whose last words are known', () => {
    const lastWords = '\nend\n'
    const pidOf = (said: ProgramEnd): number => Number(said.stdout.toString().split('\n')[0])
    /** Whether it runs; one that has ended may wait until somebody asks how. */
    const runs = (pid: number): boolean => {
      expect(pid).toBeGreaterThan(1)
      try {
        return !readFileSync(`/proc/${pid}/status`, 'utf8').includes('State:\tZ')
      } catch {
        return false
      }
    }
    const isGone = async (pid: number, timeout: number): Promise<void> =>
      await vi.waitFor(() => expect(runs(pid)).toBe(false), { timeout })

    it.each([
      ['at once', 'printf "$$\\nend\\n"'],
      ['in pieces', 'printf "$$\\nen"; sleep 0.2; printf d; sleep 0.2; echo'],
      ['and more', 'printf "$$\\nend\\nmore\\n"'],
    ])('is over when it has said them, %s, and is let go on for a moment', async (_, script) => {
      const mark = join(scratch, 'went-on')
      const said = await sh(`${script}; sleep 0.5; : >"${mark}"; exec sleep 60`, { lastWords })
      expect(said).toMatchObject({ end: 'said', exitCode: null })
      expect(said.stdout.toString()).toMatch(/^[0-9]+\nend\n/)
      expect(existsSync(mark)).toBe(false)
      await vi.waitFor(() => expect(existsSync(mark)).toBe(true), { timeout: 5000 })
      rmSync(mark)
      process.kill(pidOf(said))
    })

    it('is ended when its moment is over', async () => {
      const said = await sh('printf "$$\\nend\\n"; exec sleep 60', { lastWords })
      expect(runs(pidOf(said))).toBe(true)
      await isGone(pidOf(said), 10_000)
    })

    it('is not read any further', async () => {
      const said = await sh('printf "$$\\nend\\n"; exec yes', { lastWords, stdoutLimit: 100_000_000 })
      expect(said.end).toBe('said')
      // The first write that nobody reads ends it, long before its moment is over.
      await isGone(pidOf(said), 2000)
    })

    it('that ends without them has ended as any other', async () => {
      expect(await sh('printf "\\nen\\nd\\nend"; exit 3', { lastWords })).toMatchObject({
        end: 'exit',
        exitCode: 3,
      })
      expect(await sh('exec yes', { lastWords })).toMatchObject({ end: 'overflow' })
    })

    it('neither holds up the end of our program nor outlives it', async () => {
      const options = JSON.stringify({ stdin: '', timeoutMs: 10_000, stdoutLimit: 1000, lastWords })
      const program = `require(process.argv[1]).callProgram('/bin/sh', ['-c', 'printf "$$\\nend\\n"; exec sleep 60'], ${options})
        .then(({ stdout }) => console.log(stdout.toString()))`
      const ours = spawnSync(process.execPath, ['-e', program, outfile], {
        encoding: 'utf8',
        timeout: 20_000,
      })
      expect(ours).toMatchObject({ status: 0, stderr: '' })
      await isGone(Number(ours.stdout.split('\n')[0]), 2000)
    })
  })

  it('is over though a grandchild keeps its stdout, and what it wrote is read', async () => {
    const begun = Date.now()
    const ended = await sh('echo done; sleep 6 & exit 0')
    expect(ended).toMatchObject({ end: 'exit', exitCode: 0, stdout: Buffer.from('done\n') })
    expect(Date.now() - begun).toBeLessThan(20_000)
  })
})
