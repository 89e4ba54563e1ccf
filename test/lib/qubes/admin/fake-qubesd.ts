import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Site, siteFrom } from '../../../../src/lib/site/site.ts'

/** A qubesd of which a test says, byte for byte, what it answers. An unexpected request is kept in `unexpected`. */
export interface FakeQubesd {
  site: Site
  requests: string[]
  unexpected: string[]
  /** Connections open at this moment, and the most there were. */
  open: number
  most: number
  /** Stops listening and ends every connection. */
  stop(): Promise<void>
  listen(): Promise<void>
  close(): Promise<void>
}

export type Reply = string | Buffer | ((socket: Socket) => void)

/** @param replies by request; what a reply says is all there is, then the connection ends */
export async function startFakeQubesd(reply: (request: string) => Reply | undefined): Promise<FakeQubesd> {
  const dir = mkdtempSync(join(tmpdir(), 'qusb-qubesd-'))
  const path = join(dir, 'qubesd.sock')
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const fake: FakeQubesd = {
    site: siteFrom({ qubesdSocket: path }),
    requests: [],
    unexpected: [],
    open: 0,
    most: 0,
    async listen() {
      const fresh = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket)
        fake.open++
        fake.most = Math.max(fake.most, fake.open)
        let request = ''
        socket.setEncoding('latin1')
        socket.on('error', () => {})
        socket.on('close', () => {
          sockets.delete(socket)
          fake.open--
        })
        socket.on('data', (text: string) => {
          request += text
        })
        socket.on('end', () => {
          fake.requests.push(request)
          const answer = reply(request)
          if (answer === undefined) {
            fake.unexpected.push(request)
            socket.end()
          } else if (typeof answer === 'function') answer(socket)
          else socket.end(answer)
        })
      })
      server = fresh
      await new Promise<void>((resolve, reject) => {
        fresh.once('listening', resolve).once('error', reject)
        fresh.listen(path)
      })
    },
    async stop() {
      const old = server
      server = undefined
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => (old === undefined ? resolve() : old.close(() => resolve())))
    },
    async close() {
      await fake.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  await fake.listen()
  return fake
}
