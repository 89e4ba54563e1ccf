// Makes a bundle of the program: what the build, the package and its bill of materials all call.
import { readFileSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { build } from 'esbuild'
import { deferBuiltins } from './lazy-requires.mjs'
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
  const plain = withPlainBuiltins(withPlainInitializers(readFileSync(outfile, 'utf8')))
  const code = inAscii(deferBuiltins(plain))
  writeFileSync(outfile, wrapped ? Module.wrap(code) : code)
  return metafile
}

/**
 * Has the initializer of every module be a function. esbuild makes it the one method of an object, with the module's path
 * for a name, for profilers: V8 then makes 550 objects at every start, and a shape for each.
 * @throws Error when esbuild's output is no longer what this expects
 */
function withPlainInitializers(code) {
  const plain = code
    .replace('(0, fn[__getOwnPropNames(fn)[0]])(fn = 0)', 'fn(fn = 0)')
    .replace('(0, cb[__getOwnPropNames(cb)[0]])(', 'cb(')
    .replace(
      / = __(esm|commonJS)\(\{\n {2}"[^"\n]+"(\([^)]*\)) \{([\s\S]*?)\n {2}\}\n\}\);/g,
      ' = __$1($2 => {$3\n});',
    )
  if (/__(?:esm|commonJS)\(\{|PropNames\((?:fn|cb)\)/.test(plain))
    throw new Error("esbuild's output is not as scripts/bundle expects")
  return plain
}

/**
 * Takes a module of Node's as it is where only its default export is used. esbuild makes a copy of it for each file that
 * imports it, property by property: of node:process alone execa's files have five.
 */
function withPlainBuiltins(code) {
  return code.replace(/(\w+) = __toESM\((require\("node:\w+"\)), 1\);/g, (copy, name, module) => {
    const uses = code.match(new RegExp(`\\b${name}\\.\\w+`, 'g')) ?? []
    return uses.every((use) => use === `${name}.default`) ? `${name} = { default: ${module} };` : copy
  })
}

/**
 * Escapes what esbuild left: letters in comments and regular expressions. One beyond Latin-1 would make the whole text
 * two bytes a character, and V8 reads it at every start; bin/qusb.cjs counts on ASCII.
 */
function inAscii(code) {
  const spell = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return code.replace(/[^\0-\x7f]/g, spell)
}
