import { describe, expect, it } from 'vitest'
import { renderCandidates, renderForBash } from '../../../src/lib/view/completion.ts'

const screen = { width: 80, colour: false, unicode: true }
const bash = { current: '', breaks: ' \t\n"\'@><=;|&(:', lists: false }
const devices = [
  { value: 'sys-usb:2-1', description: 'storage: Stick' },
  { value: 'sys-usb:2-1.4', description: 'camera: Webcam' },
  { value: 'sys-net:1-1', description: '' },
]

describe('for zsh and fish', () => {
  it('a candidate a line, each once', () => {
    expect(renderCandidates({ candidates: [...devices, ...devices], shell: null }, screen)).toBe(
      'sys-usb:2-1\tstorage: Stick\nsys-usb:2-1.4\tcamera: Webcam\nsys-net:1-1\t\n',
    )
  })

  it('the word for what the shell completes', () => {
    expect(renderCandidates({ candidates: [], shell: 'files' }, screen)).toBe('\tfiles\n')
  })

  it('nothing that a shell reads otherwise, and no control character', () => {
    const hostile = [
      { value: '$(reboot)', description: '' },
      { value: 'a b', description: '' },
      { value: '', description: '' },
      { value: '2-1', description: 'a\tb\nc\u001b[31m\u202e\\' },
    ]
    const text = renderCandidates({ candidates: hostile, shell: null }, screen)
    expect(text).toBe('2-1\ta_b_c_[31m_\\\n')
  })

  it('a long description is cut; nothing beyond ASCII where the terminal is not UTF-8', () => {
    const long = [{ value: '2-1', description: `ä${'x'.repeat(500)}` }]
    const text = renderCandidates({ candidates: long, shell: null }, { ...screen, unicode: false })
    expect(text).toMatch(/^2-1\t_x{56}\.\.\.\n$/)
  })
})

describe('for bash', () => {
  const render = (options: Partial<typeof bash>): string[] =>
    renderForBash({ candidates: devices, shell: null }, { ...bash, ...options }, screen)
      .split('\n')
      .slice(0, -1)

  it('only what begins so', () => {
    expect(render({ current: 'sys-u' })).toEqual(['sys-usb:2-1', 'sys-usb:2-1.4'])
  })

  it('only what follows the last character that breaks the word', () => {
    expect(render({ current: 'sys-usb:2-1.' })).toEqual(['2-1.4'])
    expect(render({ current: 'sys-usb:2-1.', breaks: ' ' })).toEqual(['sys-usb:2-1.4'])
    expect(render({ current: 'sys-usb:2-1.', breaks: '' })).toEqual(['sys-usb:2-1.4'])
  })

  it('descriptions only in a list of several', () => {
    expect(render({ current: 'sys-usb:', lists: true })).toEqual([
      '2-1    (storage: Stick)',
      '2-1.4  (camera: Webcam)',
    ])
    expect(render({ current: 'sys-usb:2-1.', lists: true })).toEqual(['2-1.4'])
  })
})
