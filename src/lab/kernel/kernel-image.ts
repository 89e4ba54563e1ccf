import { spawn } from 'node:child_process'
import { gunzipSync } from 'node:zlib'

/**
 * The ELF vmlinux in a bzImage: QEMU boots it in half the time, as the guest then unpacks nothing under
 * emulation. Layout: kernel document Documentation/arch/x86/boot.rst (setup_sects, payload_offset,
 * payload_length). Returns the image as it came where nothing here can unpack its compression.
 */
export async function extractVmlinux(image: Buffer, busybox: string): Promise<Buffer> {
  if (image.length < 0x250 || image.toString('latin1', 0x202, 0x206) !== 'HdrS')
    throw new Error('not a Linux kernel image')
  const start = ((image.readUInt8(0x1f1) || 4) + 1) * 512 + image.readUInt32LE(0x248)
  const length = image.readUInt32LE(0x24c)
  // The build appends the unpacked size, four bytes, to whatever the compressor made.
  const payload = image.subarray(start, start + length - 4)
  const size = image.readUInt32LE(start + length - 4)
  for (const unpack of decompressors(payload, busybox)) {
    const vmlinux = await unpack().catch(() => undefined)
    if (vmlinux?.length === size && vmlinux.readUInt32BE(0) === 0x7f454c46) return vmlinux
  }
  return image
}

function decompressors(payload: Buffer, busybox: string): (() => Promise<Buffer>)[] {
  switch (payload.toString('hex', 0, 4)) {
    case 'fd377a58':
      return [() => filter('xz', ['-dc'], payload), () => filter(busybox, ['xzcat'], payload)]
    case '28b52ffd':
      return [() => filter('zstd', ['-dc'], payload)]
    default:
      return payload.readUInt16BE(0) === 0x1f8b ? [async () => gunzipSync(payload)] : []
  }
}

/** Runs a filter program over some bytes. Rejects when it cannot be started or ends badly. */
export function filter(program: string, args: readonly string[], input: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    const output: Buffer[] = []
    child.on('error', reject)
    child.stdin.on('error', () => {})
    child.stdout.on('data', (data: Buffer) => output.push(data))
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output))
      else reject(new Error(`${program} ended with ${code}`))
    })
    child.stdin.end(input)
  })
}
