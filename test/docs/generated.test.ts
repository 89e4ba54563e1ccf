import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partsOf } from '../../scripts/reference/commands.ts'
import { fillReadme } from '../../scripts/reference/markdown.ts'
import { EXIT_CODES } from '../../src/lib/errors.ts'

describe('what is generated', () => {
  it('is what the code says', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/generate.mjs', '--check'], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  it('needs its place in the README', () => {
    expect(() => fillReadme('# qusb\n', [])).toThrow('README.md has no')
  })

  it('takes a description apart into paragraphs and terms', () => {
    expect(partsOf('One\ntwo.\n\nThree:\n  late   begins late\n  gone   is gone\n\nLast.')).toEqual([
      { kind: 'paragraph', text: 'One two.' },
      { kind: 'paragraph', text: 'Three:' },
      {
        kind: 'terms',
        terms: [
          ['late', 'begins late'],
          ['gone', 'is gone'],
        ],
      },
      { kind: 'paragraph', text: 'Last.' },
    ])
  })
})

describe('the README', () => {
  const readme = readFileSync('README.md', 'utf8')

  it('has every exit code', () => {
    for (const [name, code] of Object.entries(EXIT_CODES)) {
      if (code < 128) expect(readme).toContain(`| ${code} | ${name}`)
      else expect(readme).toContain(String(code))
    }
  })

  it('shows a configuration that is valid', async () => {
    const { configFileSchema } = await import('../../src/lib/site/config.ts')
    const example = /```json\n(.*?)```/s.exec(readme)?.[1] ?? ''
    expect(() => configFileSchema().parse(JSON.parse(example))).not.toThrow()
  })

  it('leads only to files that are there', () => {
    for (const [, file] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(readFileSync(file ?? '', 'utf8')).not.toBe('')
    }
  })
})

const mandoc = spawnSync('mandoc', ['-T', 'lint', '/dev/null']).error === undefined

describe('the man pages', () => {
  it.skipIf(!mandoc)('pass the lint of mandoc', () => {
    const pages = readdirSync('man').map((page) => join('man', page))
    expect(pages.length).toBeGreaterThan(5)
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'style', ...pages], { encoding: 'utf8' })
    // Pages that are not installed on this machine are not ours to find.
    const faults = stdout
      .split('\n')
      .filter((line) => line !== '' && !line.includes('referenced manual not found'))
    expect(faults).toEqual([])
  })
})
