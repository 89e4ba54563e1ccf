import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { QubeName } from '../../../src/lib/model/names.ts'
import type { Port } from '../../../src/lib/model/port.ts'
import { givingBack, givingBackWhenReleased } from '../../../src/lib/qubes/root-shell.ts'
import { makeMarker, renderProbe, type SurveyResult, surveyQube } from '../../../src/lib/qubes/survey.ts'
import { type Site, siteFrom } from '../../../src/lib/site/site.ts'
import { QubeTree } from './qube-tree.ts'

const QUBE = 'sys-usb' as QubeName

let dir: string
let tree: QubeTree
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qusb-survey-'))
  tree = new QubeTree()
})
afterEach(() => {
  tree.remove()
  rmSync(dir, { recursive: true, force: true })
})

/** A site whose qrexec-client is this shell script; `qube` in it runs stdin as the qube's VMShell would. */
function siteOf(script: string, limits: Partial<Site['limits']> = {}): Site {
  const client = join(dir, 'qrexec-client')
  const bin = tree.programs(QUBE)
  const shell = `qube() { env QUSB_ROOT='${tree.root}' PATH='${bin}':/usr/bin:/bin sh; }`
  writeFileSync(client, `#!/bin/sh\ndir='${dir}'\necho "$*" >'${dir}/args'\n${shell}\n${script}\n`)
  chmodSync(client, 0o755)
  return siteFrom({
    qrexecClient: client,
    limits: { surveyMs: 20_000, connectSeconds: 5, ...limits },
  })
}

function failureOf(result: SurveyResult) {
  if (!('failure' in result)) throw new Error('a survey, where a failure was expected')
  return result.failure
}

describe('a qube that answers', () => {
  beforeEach(() => {
    tree.plug({ port: '2-1', interfaces: [{ number: 0, code: '030101' }] })
    tree.publish('2-1/desc', '1050:0407 a b c')
  })

  it.each([
    ['plainly', 'qube'],
    ['with noise around it', 'echo motd; qube; echo bye'],
    ['and ends with an error', 'qube; exit 3'],
    ['and ends with a code of qrexec', 'qube; exit 127'],
    ['and complains', 'qube; echo "warning" >&2'],
    ['with a child left behind that holds stdout', 'qube; sleep 20 & echo $! >$dir/pid'],
    ['and goes on to talk', 'qube; exec yes'],
    ['and stays', 'qube; exec sleep 20'],
  ])('%s', async (_, script) => {
    const result = await surveyQube(siteOf(script), QUBE)
    if (script.includes('$dir/pid')) {
      // The answer counts before its shell has come that far.
      const left = join(dir, 'pid')
      await expect.poll(() => existsSync(left) && readFileSync(left, 'utf8')).toMatch(/^[0-9]+\n$/)
      process.kill(Number(readFileSync(left, 'utf8')))
    }
    expect(result).toMatchObject({
      survey: { qube: 'sys-usb', devices: [{ port: '2-1', hidden: false }], rejected: 0 },
    })
    expect(readFileSync(join(dir, 'args'), 'utf8')).toBe(
      '-w 5 -d sys-usb DEFAULT:QUBESRPC qubes.VMShell dom0\n',
    )
  })
})

describe('a qube that does not', () => {
  it.each([
    [
      'is halted',
      'echo "connect /var/run/qubes/qrexec.sys-usb: No such file" >&2; exit 125',
      'NOT_RUNNING',
      'no connection',
    ],
    ['has no VMShell', 'exit 127', 'NO_PROXY', 'no service qubes.VMShell'],
    ['says nothing', 'cat >/dev/null', 'NOT_RUNNING', 'answers nonsense'],
    ['does not read', 'exit 1', 'NOT_RUNNING', 'answers nonsense'],
    ['dies half-way', 'qube | head -c 60', 'NOT_RUNNING', 'answers nonsense'],
    ['never ends to talk', 'yes', 'NOT_RUNNING', 'more than 262144 bytes'],
    [
      'talks before and never ends',
      'head -c 300000 /dev/zero; qube; yes',
      'NOT_RUNNING',
      'more than 262144 bytes',
    ],
  ])('%s', async (_, script, code, message) => {
    const failure = failureOf(await surveyQube(siteOf(script), QUBE))
    expect(failure).toMatchObject({ qube: 'sys-usb', code })
    expect(failure.message).toContain(message)
  })

  it('answers as another', async () => {
    tree.programs('work')
    const site = siteOf('qube')
    tree.programs('work')
    expect(failureOf(await surveyQube(site, QUBE)).message).toContain('another qube')
  })

  it.each([
    ['is silent', 'exec sleep 30'],
    ['is deaf to SIGTERM', "trap '' TERM; sleep 30 & wait; sleep 30"],
    ['drips', 'while :; do printf x; sleep 0.05; done'],
  ])('%s: the time limit holds', async (_, script) => {
    const pid = 'echo $$ >$dir/pid\n'
    const failure = failureOf(await surveyQube(siteOf(pid + script), QUBE, { timeoutMs: 700 }))
    expect(failure).toMatchObject({ code: 'TIMEOUT', message: 'sys-usb did not answer within 0.7 s' })
    const client = Number(readFileSync(join(dir, 'pid'), 'utf8'))
    await vi.waitFor(() => expect(() => process.kill(client, 0)).toThrow(), { timeout: 5000 })
  })

  it('keeps its stderr clean, and apart from the message', async () => {
    const failure = failureOf(await surveyQube(siteOf("printf 'a\\033[2Jb\\nc' >&2; exit 125"), QUBE))
    expect(failure.detail).toBe('a_[2Jb | c')
    expect(failure.message).not.toContain('[2J')
  })

  it('is given up when the caller gives up', async () => {
    const abort = new AbortController()
    const asked = surveyQube(siteOf('exec sleep 30'), QUBE, { signal: abort.signal })
    abort.abort()
    expect(failureOf(await asked).code).toBe('INTERRUPTED')
    expect(failureOf(await surveyQube(siteOf('qube'), QUBE, { signal: abort.signal })).code).toBe(
      'INTERRUPTED',
    )
  })

  it.each([
    ['there is none', '/nonexistent/qrexec-client'],
    ['its directory is a file', '/etc/passwd/qrexec-client'],
    ['it cannot be run', '/etc/passwd'],
  ])('no client: %s', async (_, qrexecClient) => {
    const site = siteFrom({ qrexecClient, limits: { surveyMs: 5000 } })
    expect(failureOf(await surveyQube(site, QUBE))).toMatchObject({
      code: 'NOT_FOUND',
      message: `cannot run ${qrexecClient}`,
    })
  })
})

describe('the script', () => {
  it('is constant but for the marker on its last line, and what it is asked for', () => {
    const [one, two] = [makeMarker(), makeMarker()]
    expect(one).not.toBe(two)
    const script = renderProbe(one, false)
    expect(script.split(one)).toHaveLength(2)
    expect(script.endsWith(`\nqusb_probe ${one} </dev/null\n`)).toBe(true)
    expect(renderProbe(two, false)).toBe(script.replace(one, two))
    expect(renderProbe(one, true)).toBe(script.replace(one, `${one} frontend`))
  })

  it('takes nothing but a marker', () => {
    expect(() => renderProbe('$(id)', false)).toThrow('not a marker')
  })
})

describe('a look that follows something', () => {
  const PORT = '2-1.4' as Port
  const calls = (): string[] => readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n')
  const siteOfCalls = (): Site => siteOf('echo "$*" >>"$dir/calls"; qube')
  const isGivenBack = (): boolean =>
    ['usbip-host/unbind', 'usb/bind'].every((name) => {
      const file = join(tree.root, 'sys/bus/usb/drivers', name)
      return existsSync(file) && readFileSync(file, 'utf8') === `${PORT}\n`
    })
  /** What the kernel does of what is written, in the time of a sleep. */
  const bindings = (): string => {
    const drivers = join(tree.root, 'sys/bus/usb/drivers')
    return `if [ -e '${drivers}/usb/bind' ]; then ln -s '${drivers}/usb' '${device}/driver'
      elif [ -e '${drivers}/usbip-host/unbind' ]; then rm -f '${device}/driver'; fi`
  }
  let device: string
  beforeEach(() => {
    tree.directory('/sys/bus/usb/drivers/usb')
    device = join(tree.root, tree.plug({ port: PORT, driver: 'usbip-host', files: { usbip_status: '2\n' } }))
    tree.publish('2-1_4/desc', '1050:0407 a b c')
    tree.publish('2-1_4/connected-to', 'work')
  })

  it.each([
    ['what the frontend has when it has let go', 3, 5, 7, { attachedTo: null, state: 'free' }],
    ['that it has not, after a while', 3, 500, 30, { attachedTo: 'work' }],
    ['what is exported to the end', 500, 500, 30, { attachedTo: 'work' }],
  ])('tells %s', async (_, endsAt, clearsAt, sleeps, what) => {
    const site = siteOfCalls()
    tree.program(
      'sleep',
      `echo >>'${dir}/sleeps'
       n=$(wc -l <'${dir}/sleeps')
       [ "$n" -lt ${endsAt} ] || echo 1 >'${device}/usbip_status'
       [ "$n" -lt ${clearsAt} ] || : >'${tree.qubesDbFile}'
       ${bindings()}`,
    )
    const result = await surveyQube(site, QUBE, { after: givingBackWhenReleased(PORT, 'work' as QubeName) })
    expect(result).toMatchObject({ survey: { devices: [what] } })
    expect(readFileSync(join(dir, 'sleeps'), 'utf8')).toHaveLength(sleeps)
    expect(calls()).toEqual([expect.stringContaining('root:QUBESRPC qubes.VMShell')])
    expect(isGivenBack()).toBe(clearsAt < 500)
  })

  it('takes nothing of another that has it', async () => {
    const site = siteOfCalls()
    writeFileSync(join(device, 'usbip_status'), '1\n')
    tree.program('sleep', `echo >>'${dir}/sleeps'`)
    await surveyQube(site, QUBE, { after: givingBackWhenReleased(PORT, 'vault' as QubeName) })
    expect(existsSync(join(dir, 'sleeps'))).toBe(false)
    expect(isGivenBack()).toBe(false)
  })

  it('is that of root, in one call, where root has something to do first', async () => {
    const site = siteOfCalls()
    writeFileSync(join(device, 'usbip_status'), '1\n')
    tree.program('sleep', bindings())
    const result = await surveyQube(site, QUBE, { after: givingBack(PORT) })
    expect(isGivenBack()).toBe(true)
    expect(result).toMatchObject({ survey: { devices: [{ port: PORT, driver: 'usb' }] } })
    expect(calls()).toEqual([expect.stringContaining('root:QUBESRPC qubes.VMShell')])
  })
})
