import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { portOf } from '../../../src/lab/kernel/hub.ts'
import { createLinks, type Links } from '../../../src/lab/kernel/links.ts'

describe('links between guests', () => {
  let server: Server
  let links: Links
  const sockets: Socket[] = []

  /** Both ends of a connection. */
  const pair = async (): Promise<[near: Socket, far: Socket]> => {
    const accepted = once(server, 'connection')
    const near = createConnection({ host: '127.0.0.1', port: portOf(server) })
    const [far] = (await accepted) as [Socket]
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    return [near, far]
  }
  const join = async (firstWord?: (line: string) => void) => {
    const [frontend, one] = await pair()
    const [backend, other] = await pair()
    links.join({ frontend: 'work', backend: 'sys-usb', service: 'qubes.USB+2-1' }, one, other, firstWord)
    return { frontend, backend }
  }
  const heard = async (socket: Socket) => String((await once(socket, 'data'))[0])

  beforeEach(async () => {
    links = createLinks()
    server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
    server.close()
  })

  it('carry both ways, and tell the first line', async () => {
    let line = ''
    const { frontend, backend } = await join((word) => {
      line = word
    })
    backend.write('131073 5000\nmore')
    expect(await heard(frontend)).toBe('131073 5000\nmore')
    expect(line).toBe('131073 5000')
    frontend.write('request')
    expect(await heard(backend)).toBe('request')
  })

  it('end as one', async () => {
    const { frontend, backend } = await join()
    backend.destroy()
    await once(frontend.resume(), 'close')
  })

  it('are closed by the backend that they belong to', async () => {
    const { frontend, backend } = await join()
    expect(links.close('other')).toBe(0)
    const ended = Promise.all([once(frontend.resume(), 'close'), once(backend.resume(), 'close')])
    expect(links.close('sys-usb')).toBe(1)
    await ended
    expect(links.close('sys-usb')).toBe(0)
  })

  it('stall and go on, and nothing is lost', async () => {
    const { frontend, backend } = await join()
    links.stall('sys-usb', true)
    let text = ''
    frontend.on('data', (chunk) => {
      text += chunk
    })
    backend.write('late')
    // A link that does not stall carries what was written after it.
    const another = await pair()
    another[0].write('mark')
    expect(await heard(another[1])).toBe('mark')
    expect(text).toBe('')
    links.stall('sys-usb', false)
    await once(frontend, 'data')
    expect(text).toBe('late')
  })
})
