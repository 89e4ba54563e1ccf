import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { describeProblem, loadRules, requireRules } from '../../../src/lib/rules/load.ts'
import { siteFrom } from '../../../src/lib/site/site.ts'

/** A site with these files of rules. */
function siteWith(files: Record<string, string>) {
  const configDir = mkdtempSync(join(tmpdir(), 'qusb-rules-'))
  onTestFinished(() => rmSync(configDir, { recursive: true, force: true }))
  const directory = join(configDir, 'rules.d')
  mkdirSync(directory)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
  return { site: siteFrom({ configDir }), directory }
}

const GOOD = '* * work allow\n'

/** What is wrong, as it is told. */
function problemsOf(site: ReturnType<typeof siteWith>['site']): string[] {
  const loaded = loadRules(site)
  return 'problems' in loaded ? loaded.problems.map(describeProblem) : []
}

describe('loadRules', () => {
  it('reads the files in the order of their names, and only *.rules', () => {
    const { site } = siteWith({
      '90-last.rules': '3-1 * c allow',
      '10-first.rules': '1-1 * a allow\n1-2 * b allow',
      '.hidden.rules': 'nonsense',
      'notes.txt': 'nonsense',
      '20-old.rules~': 'nonsense',
    })
    const loaded = loadRules(site)
    if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
    expect(loaded.rules.map(({ frontend }) => frontend)).toEqual(['a', 'b', 'c'])
  })

  it('knows no rules where there is no directory', () => {
    const { site, directory } = siteWith({})
    expect(loadRules(site)).toEqual({ rules: [] })
    rmSync(directory, { recursive: true })
    expect(loadRules(site)).toEqual({ rules: [] })
    rmSync(site.configDir, { recursive: true })
    expect(loadRules(site)).toEqual({ rules: [] })
  })

  it('refuses every rule for one problem', () => {
    const { site, directory } = siteWith({ '10-a.rules': GOOD, '20-b.rules': '\n* * work alow\n' })
    expect(problemsOf(site)).toEqual([`${join(directory, '20-b.rules')}:2:10: there is no action "alow"`])
    expect(() => requireRules(site)).toThrow(/none of them counts: .*20-b.rules:2:10: .*alow/)
  })

  it('takes nothing that others could have written, or that is no plain file', () => {
    const { site, directory } = siteWith({ 'a.rules': GOOD })
    const file = join(directory, 'a.rules')
    chmodSync(file, 0o666)
    expect(problemsOf(site)).toEqual([expect.stringMatching(/can be written by everybody/)])
    chmodSync(file, 0o644)
    linkSync(file, join(site.configDir, 'second-name'))
    expect(problemsOf(site)).toEqual([expect.stringMatching(/hard link/)])
    rmSync(join(site.configDir, 'second-name'))
    symlinkSync(file, join(directory, 'b.rules'))
    expect(problemsOf(site)).toEqual([expect.stringMatching(/symbolic link/)])
    rmSync(join(directory, 'b.rules'))
    mkdirSync(join(directory, 'b.rules'))
    expect(problemsOf(site)).toEqual([expect.stringMatching(/not a regular file/)])
    rmSync(join(directory, 'b.rules'), { recursive: true })
    chmodSync(directory, 0o777)
    expect(problemsOf(site)).toEqual([expect.stringMatching(/rules.d: .*written by everybody/)])
    chmodSync(directory, 0o755)
    chmodSync(site.configDir, 0o777)
    expect(problemsOf(site)).toEqual([expect.stringMatching(/written by everybody/)])
    chmodSync(site.configDir, 0o755)
    expect(problemsOf(site)).toEqual([])
  })

  it('is bounded: files, their size, rules in all', () => {
    const { site, directory } = siteWith({ 'a.rules': `#${'x'.repeat(70_000)}` })
    expect(problemsOf(site)).toEqual([expect.stringMatching(/larger than/)])
    rmSync(join(directory, 'a.rules'))
    for (let i = 0; i < 3; i++) writeFileSync(join(directory, `${i}.rules`), GOOD.repeat(400))
    expect(problemsOf(site)).toEqual([expect.stringMatching(/more than 1000 rules/)])
    for (let i = 0; i < 65; i++) writeFileSync(join(directory, `${i}.rules`), '')
    expect(problemsOf(site)).toEqual([expect.stringMatching(/more than 64 files/)])
  })

  it('refuses a rule about an alias that there is not, or that cannot be looked up', () => {
    const { site, directory } = siteWith({ 'a.rules': '\n  red-key * vault allow\n' })
    expect(problemsOf(site)).toEqual([`${join(directory, 'a.rules')}:2:3: there is no alias "red-key"`])
    const named = { vendorId: '1050', productId: '0407', serial: '1', pin: null, description: 'YubiKey' }
    const file = join(site.configDir, 'aliases.json')
    writeFileSync(file, JSON.stringify({ schema: 1, aliases: [{ name: 'red-key', devices: [named] }] }))
    expect(problemsOf(site)).toEqual([])
    writeFileSync(file, 'nonsense')
    expect(problemsOf(site)).toEqual([expect.stringMatching(/aliases.json.* is not JSON/)])
    // Who names no alias does without.
    writeFileSync(join(directory, 'a.rules'), GOOD)
    expect(problemsOf(site)).toEqual([])
  })

  it('refuses what is not UTF-8', () => {
    const { site, directory } = siteWith({})
    writeFileSync(join(directory, 'a.rules'), Buffer.from([0x2a, 0x20, 0x2a, 0x20, 0xff, 0x0a]))
    expect(problemsOf(site)).toEqual([expect.stringMatching(/a.rules:1:5: .*not UTF-8/)])
  })
})
