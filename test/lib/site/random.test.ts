import { describe, expect, it } from 'vitest'
import { randomHex } from '../../../src/lib/site/random.ts'

describe('random names', () => {
  it('are hex digits, as many as asked for, and never the same', () => {
    const names = Array.from({ length: 1000 }, () => randomHex(8))
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{16}$/)
    expect(new Set(names).size).toBe(1000)
  })
})
