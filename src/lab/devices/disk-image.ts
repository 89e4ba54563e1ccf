import { type FileHandle, open } from 'node:fs/promises'

export const BLOCK_BYTES = 512

/** The medium of a stick: a file of whole blocks, read and written in place. */
export interface DiskImage {
  readonly blocks: number
  /** `length` bytes from `offset`, both in bytes and inside the image. */
  read(offset: number, length: number): Promise<Buffer>
  write(offset: number, data: Buffer): Promise<void>
  flush(): Promise<void>
  close(): Promise<void>
}

/** Opens an image for reading and writing. Throws when it is missing, empty, or not made of whole blocks. */
export async function openDiskImage(path: string): Promise<DiskImage> {
  const file = await open(path, 'r+')
  try {
    const { size } = await file.stat()
    if (size === 0 || size % BLOCK_BYTES !== 0) {
      throw new Error(`image ${path}: ${size} bytes are not a whole number of blocks of ${BLOCK_BYTES}`)
    }
    if (size / BLOCK_BYTES > 0xffffffff) throw new Error(`image ${path}: larger than 2 TiB`)
    return imageOn(file, size / BLOCK_BYTES)
  } catch (error) {
    await file.close()
    throw error
  }
}

function imageOn(file: FileHandle, blocks: number): DiskImage {
  return {
    blocks,
    async read(offset, length) {
      const bytes = Buffer.alloc(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done)
        if (bytesRead === 0) throw new Error('the image has become shorter')
        done += bytesRead
      }
      return bytes
    },
    async write(offset, data) {
      let done = 0
      while (done < data.length) {
        const { bytesWritten } = await file.write(data, done, data.length - done, offset + done)
        done += bytesWritten
      }
    },
    flush: () => file.datasync(),
    close: () => file.close(),
  }
}
