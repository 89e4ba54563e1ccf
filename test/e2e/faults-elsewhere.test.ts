import { describe } from 'vitest'
import { ELSEWHERE } from './strikes.ts'
import { tryEach } from './striking.ts'

describe('at every step of an attach and a detach, at the frontends and in dom0', () => tryEach(ELSEWHERE))
