import { formatVidPid } from '../model/identity.ts'
import { busOf, comparePorts, type Port, parentPort } from '../model/port.ts'
import type { ListedDevice } from '../passthrough/results.ts'
import { holderWords, namedKindWords, noteWords, speedWords } from './device-words.ts'
import { cutToWidth } from './display-width.ts'
import { paint, plain, type Terminal } from './terminal.ts'

/** A port that something is plugged in; a hub that was not surveyed has no device. */
interface Node {
  port: Port
  device: ListedDevice | undefined
  children: Node[]
}

/** The devices where they are plugged: backends, their buses, hubs, ports. */
export function renderDeviceTree(devices: readonly ListedDevice[], terminal: Terminal): string {
  if (devices.length === 0) return 'No USB devices to show.\n'
  const lines: string[] = []
  for (const backend of [...new Set(devices.map((device) => device.backend))].sort()) {
    const own = devices.filter((device) => device.backend === backend)
    lines.push(paint(plain(backend, terminal), 'bold', terminal))
    const buses = [...new Set(own.map((device) => busOf(device.port)))].sort((a, b) => a - b)
    buses.forEach((bus, i) => {
      const onBus = own.filter((device) => busOf(device.port) === bus)
      const controller = onBus.find((device) => device.controller !== null)?.controller
      const where = controller === undefined || controller === null ? '' : `, controller ${controller}`
      const [branch, below] = branches(i === buses.length - 1, terminal)
      lines.push(cutToWidth(plain(`${branch}bus ${bus}${where}`, terminal), terminal.width, terminal.unicode))
      drawNodes(plantTree(onBus), below, lines, terminal)
    })
  }
  return lines.map((line) => `${line}\n`).join('')
}

function branches(last: boolean, terminal: Terminal): [branch: string, below: string] {
  if (terminal.unicode) return last ? ['└─ ', '   '] : ['├─ ', '│  ']
  return last ? ['`- ', '   '] : ['|- ', '|  ']
}

function plantTree(devices: readonly ListedDevice[]): Node[] {
  const nodes = new Map<Port, Node>()
  const roots: Node[] = []
  const plant = (port: Port): Node => {
    const known = nodes.get(port)
    if (known !== undefined) return known
    const node: Node = { port, device: undefined, children: [] }
    nodes.set(port, node)
    const parent = parentPort(port)
    const siblings = parent === undefined ? roots : plant(parent).children
    siblings.push(node)
    siblings.sort((a, b) => comparePorts(a.port, b.port))
    return node
  }
  for (const device of devices) plant(device.port).device = device
  return roots
}

function drawNodes(nodes: readonly Node[], indent: string, lines: string[], terminal: Terminal): void {
  nodes.forEach((node, i) => {
    const [branch, below] = branches(i === nodes.length - 1, terminal)
    const head = indent + branch
    lines.push(head + nodeWords(node, terminal.width - head.length, terminal))
    drawNodes(node.children, indent + below, lines, terminal)
  })
}

function nodeWords(node: Node, width: number, terminal: Terminal): string {
  const { device } = node
  if (device === undefined) return cutToWidth(`${node.port}  (a hub)`, width, terminal.unicode)
  const holder = holderWords(device)
  const arrow = terminal.unicode ? '→' : '->'
  const after = [
    speedWords(device.speed),
    holder.text === '' ? '' : `${arrow} ${holder.text}`,
    ...noteWords(device).map((note) => `(${note})`),
  ].filter((words) => words !== '')
  const text = `${device.port}  ${formatVidPid(device)}  ${plain(namedKindWords(device), terminal)}`
  const tail = after.length === 0 ? '' : `  ${after.join('  ')}`
  const line = cutToWidth(text, Math.max(width - tail.length, 12), terminal.unicode)
  const whole = cutToWidth(line + tail, width, terminal.unicode)
  if (!whole.startsWith(line)) return whole
  return line + paint(whole.slice(line.length), holder.style ?? 'dim', terminal)
}
