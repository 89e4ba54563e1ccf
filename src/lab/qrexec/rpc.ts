import { type Closable, Reply, readFifoLines } from '../fifo.ts'

/** One question of a script in a qube: `REPLY DOMID VERB REST`; REPLY is a FIFO, or `-` for none. */
export interface Question {
  readonly domid: number
  readonly verb: string
  readonly rest: string
  /** Answers once. */
  reply(line: string): void
}

/** Listens on the lab's question FIFO. Lines that are no question are dropped. */
export function listenForQuestions(path: string, onQuestion: (question: Question) => void): Closable {
  return readFifoLines(path, (line) => {
    const match = /^(\S+) (\S+) (\S+) ?(.*)$/.exec(line)
    if (match === null) return
    const [, replyTo = '-', domid = '', verb = '', rest = ''] = match
    const reply = replyTo === '-' ? null : new Reply(replyTo)
    onQuestion({ domid: Number(domid), verb, rest, reply: (text) => reply?.send(text) })
  })
}
