// Writes what is made from the code: oclif.manifest.json, the command reference of the README, the man pages.
// With --check it writes nothing, and fails where a file differs.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeManifest } from './reference/commands.ts'

const root = process.cwd()
const check = process.argv.includes('--check')

const manifest = await makeManifest(root)
const files = new Map<string, string>([['oclif.manifest.json', `${JSON.stringify(manifest, null, 2)}\n`]])
for (const [file, content] of files) writeFileSync(file, content)
