import { describe, expect, it } from 'vitest'
import { findDesktop } from '../../../src/lib/host/desktop.ts'

const seat = (env: NodeJS.ProcessEnv, ...paths: string[]) =>
  findDesktop({ env, uid: 1000, user: 'alice', exists: (path) => paths.includes(path) })

describe('the desktop of who is asked', () => {
  it('is that of the environment, and nothing else of it is passed on', () => {
    expect(seat({ DISPLAY: ':1', XAUTHORITY: '/x', LD_PRELOAD: '/evil.so', PATH: '/evil' })).toEqual({
      PATH: '/usr/bin:/bin',
      DISPLAY: ':1',
      XAUTHORITY: '/x',
    })
  })

  it('is the first display where a unit has none, with the session bus and cookie that are there', () => {
    const bus = '/run/user/1000/bus'
    const cookie = '/run/lightdm/alice/xauthority'
    expect(seat({ HOME: '/home/alice' }, '/tmp/.X11-unix/X0', bus, cookie)).toEqual({
      PATH: '/usr/bin:/bin',
      HOME: '/home/alice',
      DISPLAY: ':0',
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus}`,
      XAUTHORITY: cookie,
    })
  })

  it('is none where there is no display', () => {
    expect(seat({ HOME: '/home/alice' })).toBeUndefined()
  })
})
