// Makes a bundle of the program: what the build, the package and its bill of materials all call.
import { readFileSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { build } from 'esbuild'
import { common } from './options.mjs'

/**
 * Bundles a command table with all it needs.
 * @param {{ entry: string, outfile: string, faultPoints?: boolean, wrapped?: boolean }} bundle `wrapped` where
 *   bin/qusb.cjs compiles it: with the function around it that Node puts around a module. Put there at every start, it
 *   would have the whole text copied.
 * @returns {Promise<import('esbuild').Metafile>} what is in it
 */
export async function makeBundle({ entry, outfile, faultPoints = false, wrapped = false }) {
  const { metafile } = await build({
    ...common,
    entryPoints: [entry],
    outfile,
    define: { __FAULT_POINTS__: String(faultPoints) },
    metafile: true,
  })
  const code = inAscii(withPlainKeys(readFileSync(outfile, 'utf8')))
  writeFileSync(outfile, wrapped ? Module.wrap(code) : code)
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
