import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DeviceFacts } from '../devices/facts.ts'

/** A port's name in QubesDB. */
export const publishedName = (port: string): string => port.replaceAll('.', '_')

/** One qube's QubesDB as files: `lab/qubesdb/PATH` for a value, and one file with what multiread prints. */
export class QubesDb {
  readonly #root: string
  readonly #values = new Map<string, string>()

  constructor(root: string, name: string) {
    this.#root = root
    mkdirSync(join(root, 'lab/qubesdb'), { recursive: true })
    this.write('/name', name)
    this.#render()
  }

  write(path: string, value: string): void {
    this.#put(path, value)
    this.#render()
  }

  #put(path: string, value: string): void {
    const file = this.#file(path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, value)
    this.#values.set(path, value)
  }

  read(path: string): string | null {
    return this.#values.get(path) ?? null
  }

  /** Removes a path and all below it. */
  remove(path: string): void {
    for (const each of [...this.#values.keys()]) {
      if (each === path || each.startsWith(`${path}/`)) this.#values.delete(each)
    }
    rmSync(this.#file(path), { recursive: true, force: true })
    this.#render()
  }

  /** Publishes a device as the USB agent does (docs/facts.md#published-devices). */
  publish(port: string, facts: DeviceFacts, form: 'full' | 'two-words'): void {
    const at = `/qubes-usb-devices/${publishedName(port)}`
    const maker = word(facts.manufacturer ?? facts.vendorId)
    const product = word(facts.product ?? facts.productId)
    const vidPid = `${facts.vendorId}:${facts.productId}`
    if (form === 'two-words') {
      this.#put(`${at}/desc`, `${vidPid} ${maker}_${product}`)
    } else {
      this.#put(`${at}/desc`, `${vidPid} ${maker} ${product} ${word(facts.serial ?? '')}`)
      this.#put(`${at}/interfaces`, `:${facts.interfaces.map((each) => each.triple).join(':')}:`)
    }
    this.#put(`${at}/usb-ver`, facts.speed >= 5000 ? '3' : '2')
    this.#render()
  }

  unpublish(port: string): void {
    this.remove(`/qubes-usb-devices/${publishedName(port)}`)
  }

  #file(path: string): string {
    const parts = path.split('/').filter((part) => part !== '')
    if (parts.some((part) => part === '..' || part === '.')) throw new Error(`not a path of QubesDB: ${path}`)
    return join(this.#root, 'lab/qubesdb', ...parts)
  }

  #render(): void {
    const lines = [...this.#values]
      .filter(([path]) => path.startsWith('/qubes-usb-devices/'))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([path, value]) => `${path} = ${value}\n`)
    const file = join(this.#root, 'lab/qubes-usb-devices')
    writeFileSync(`${file}.new`, lines.join(''))
    renameSync(`${file}.new`, file)
  }
}

/** udev's encoding of a string in one word: what is not safe as `\xhh`, bytes of UTF-8 as they are. */
function word(text: string): string {
  return text.replace(
    /[^A-Za-z0-9#+\-.:=@_\u{80}-\u{10ffff}]/gu,
    (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`,
  )
}
