// Makes a bundle of the program: what the build, the package and its bill of materials all call.
import { readFileSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'
import { common } from './options.mjs'

/**
 * Bundles a command table with all it needs.
 * @param {{ entry: string, outfile: string, faultPoints?: boolean }} bundle
 * @returns {Promise<import('esbuild').Metafile>} what is in it
 */
export async function makeBundle({ entry, outfile, faultPoints = false }) {
  const { metafile } = await build({
    ...common,
    entryPoints: [entry],
    outfile,
    define: { __FAULT_POINTS__: String(faultPoints) },
    metafile: true,
  })
  writeFileSync(outfile, inAscii(withPlainKeys(readFileSync(outfile, 'utf8'))))
  return metafile
}

/**
 * Gives the initializer of every module the same key. esbuild takes the module's path, for profilers; V8 then makes each
 * of these objects a shape of its own, at every start, in a table that is copied for each.
 */
function withPlainKeys(code) {
  return code.replace(/( = __(?:esm|commonJS)\(\{\n {2})"[^"\n]+"\(/g, '$1load(')
}

/**
 * Escapes what esbuild left: letters in comments and regular expressions. One beyond Latin-1 would make the whole text
 * two bytes a character, and V8 reads it at every start; bin/qusb.cjs counts on ASCII.
 */
function inAscii(code) {
  const spell = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return code.replace(/[^\0-\x7f]/g, spell)
}
