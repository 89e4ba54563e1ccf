import { describe, expect, it } from 'vitest'
import { readVocabulary } from '../../../src/lib/completion/vocabulary.ts'
import { findWanted } from '../../../src/lib/completion/wanted.ts'

const vocabulary = readVocabulary(process.cwd())

/** What may stand at the end of a line. */
function at(line: string): {
  values: string[]
  live: ReturnType<typeof findWanted>['live']
  shell: string | null
} {
  const words = line.split(' ')
  const wanted = findWanted(vocabulary, words.slice(0, -1), words.at(-1) ?? '', new Set(['red-key']))
  return {
    values: wanted.known.map(({ value }) => wanted.prefix + value),
    live: wanted.live,
    shell: wanted.shell,
  }
}

describe('words of commands', () => {
  it('the first ones, with what they are about', () => {
    const { known } = findWanted(vocabulary, [], '', new Set())
    expect(known).toContainEqual({
      value: 'attach',
      description: 'Attach a USB device of a backend to a frontend qube.',
    })
    expect(known).toContainEqual({
      value: 'setup',
      description: 'Prepare this dom0 and its USB qubes for qusb.',
    })
    expect(known.filter(({ value }) => value === 'lab')).toHaveLength(1)
  })

  it('the further ones', () => {
    expect(at('setup ').values).toContain('dom0')
    expect(at('lab ').values).toEqual(expect.arrayContaining(['up', 'down', 'plug']))
    expect(at('nonsense ').values).toEqual([])
  })

  it('flags before any command', () => {
    expect(at('-').values).toEqual(expect.arrayContaining(['--help', '--version']))
  })
})

describe('flags', () => {
  it('of the command, each once, and none that another excludes', () => {
    expect(at('attach -').values).toEqual(
      expect.arrayContaining(['--dry-run', '--timeout', '--json', '--help']),
    )
    expect(at('attach --dry-run -').values).not.toContain('--dry-run')
    expect(at('detach -').values).toEqual(expect.arrayContaining(['--all', '--from']))
    expect(at('detach --all -').values).not.toContain('--from')
  })

  it('their values, in the next word and behind "="', () => {
    expect(at('attach --via ').values).toEqual(['qrexec', 'admin'])
    expect(at('attach --via=').values).toEqual(['--via=qrexec', '--via=admin'])
    expect(at('detach --from ').live).toMatchObject({ kinds: ['holder'] })
    expect(at('detach --from=').live).toMatchObject({ kinds: ['holder'] })
    expect(at('attach --timeout ')).toMatchObject({ values: [], live: null })
  })

  it('a value is no argument', () => {
    expect(at('attach --via admin sys-usb ').live).toMatchObject({ kinds: ['device'], backend: 'sys-usb' })
    expect(at('attach --via=admin sys-usb ').live).toMatchObject({ kinds: ['device'], backend: 'sys-usb' })
  })
})

describe('arguments', () => {
  it.each([
    ['attach ', { kinds: ['backend', 'device', 'alias'], backend: undefined, devices: 'free' }],
    ['attach sys-usb ', { kinds: ['device'], backend: 'sys-usb', devices: 'free' }],
    ['attach sys-usb 2-1 ', { kinds: ['frontend'], backend: 'sys-usb' }],
    ['attach sys-usb:2-1 ', { kinds: ['frontend'], backend: 'sys-usb' }],
    ['attach 1050:0407 ', { kinds: ['frontend'], backend: undefined }],
    ['attach --dry-run sys-usb ', { kinds: ['device'], backend: 'sys-usb' }],
    ['detach ', { kinds: ['device', 'alias'], backend: undefined, devices: 'attached' }],
    ['detach sys-usb ', { kinds: ['device'], backend: 'sys-usb', devices: 'attached' }],
    ['detach sys-usb 2-1 ', { kinds: ['holder'], backend: 'sys-usb' }],
    ['attach red-key ', { kinds: ['frontend'], backend: undefined }],
    ['attach --wait sys-usb ', { kinds: ['device'], backend: 'sys-usb', devices: 'free' }],
    ['attach --wait=5 sys-usb ', { kinds: ['device'], backend: 'sys-usb' }],
    ['attach --replace sys-usb ', { kinds: ['device'], backend: 'sys-usb', devices: 'all' }],
    ['move ', { kinds: ['device', 'alias'], devices: 'attached' }],
    ['move sys-usb:2-1 ', { kinds: ['frontend'], backend: 'sys-usb' }],
    ['run ', { kinds: ['backend', 'device', 'alias'], devices: 'free' }],
    ['alias add red-key ', { kinds: ['backend', 'device', 'alias'], devices: 'all' }],
    ['alias remove ', { kinds: ['alias'] }],
    ['doctor sys-usb ', { kinds: ['qube'], without: ['sys-usb'] }],
    ['info ', { kinds: ['backend', 'device', 'alias'], devices: 'all' }],
    ['list ', { kinds: ['backend'], without: [] }],
    ['list sys-usb ', { kinds: ['backend'], without: ['sys-usb'] }],
    ['lab exec ', { kinds: ['qube'] }],
  ])('%j', (line, live) => {
    expect(at(line).live).toMatchObject(live)
  })

  it('none after the last', () => {
    expect(at('attach sys-usb 2-1 work ')).toMatchObject({ values: [], live: null })
    expect(at('history ')).toMatchObject({ values: [], live: null })
  })

  it('fixed ones', () => {
    expect(at('completion ').values).toEqual(['bash', 'zsh', 'fish'])
    expect(at('lab fault ').values).toContain('late-answer')
  })

  it('what the shell completes itself', () => {
    expect(at('lab up ').shell).toBe('files')
    expect(at('lab exec work -- ').shell).toBe('commands')
    expect(at('lab exec work -- cat ').shell).toBe('files')
    expect(at('run sys-usb 2-1 work -- ').shell).toBe('commands')
  })
})
