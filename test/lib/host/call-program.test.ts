import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, describe, expect, it } from 'vitest'
import { common } from '../../../scripts/bundle/options.mjs'
import { callProgram, type ProgramCall, type ProgramEnd } from '../../../src/lib/host/call-program.ts'

const scratch = mkdtempSync(join(tmpdir(), 'qusb-call-'))
afterAll(() => rmSync(scratch, { recursive: true }))
writeFileSync(join(scratch, 'plain'), 'no program', { mode: 0o644 })

/** With execa as the bundle changes it. The program comes with it, since all changes must find their files. */
async function bundled(): Promise<typeof callProgram> {
  const outfile = join(scratch, 'bundled.cjs')
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

  it('is over though a grandchild keeps its stdout, and what it wrote is read', async () => {
    const begun = Date.now()
    const ended = await sh('echo done; sleep 6 & exit 0')
    expect(ended).toMatchObject({ end: 'exit', exitCode: 0, stdout: Buffer.from('done\n') })
    expect(Date.now() - begun).toBeLessThan(20_000)
  })
})
