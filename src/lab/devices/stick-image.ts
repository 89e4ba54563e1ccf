import { createCipheriv, createHash } from 'node:crypto'
import { stat, writeFile } from 'node:fs/promises'

/**
 * Makes the image of a stick where there is none: every block differs from every other and from those of
 * another stick, so a sum over some of them tells what was read. The name alone decides the content.
 */
export async function ensureImage(file: string, sizeMiB: number): Promise<void> {
  if (
    await stat(file).then(
      () => true,
      () => false,
    )
  )
    return
  const key = createHash('sha256').update(file).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const content = cipher.update(Buffer.alloc(sizeMiB << 20))
  // No partition table by chance: the kernel would show partitions.
  content.fill(0, 0, 512)
  await writeFile(file, content)
}
