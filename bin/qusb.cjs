#!/usr/bin/env node
'use strict'
// Starts qusb: picks the bundle (the lab has its own) and loads it with V8's code cache where one fits.
const fs = require('node:fs')
const path = require('node:path')
const vm = require('node:vm')

const root = path.dirname(__dirname)

/** What files are read into, one after the other: memory that is touched for the first time is dear. */
let shared = Buffer.alloc(0)

function read(file) {
  const fd = fs.openSync(file)
  try {
    const { size } = fs.fstatSync(fd)
    if (shared.length < size) shared = Buffer.allocUnsafeSlow(size)
    return shared.subarray(0, fs.readSync(fd, shared, 0, size, 0))
  } finally {
    fs.closeSync(fd)
  }
}

/** The commands that have a code cache of their own: they need more than a listing does (scripts/code-cache.cjs). */
const ACTIONS = ['attach', 'detach', 'move', 'run']

/** The code cache of a bundle; without one everything works, more slowly. */
function readCache(file) {
  try {
    return read(`${file}${ACTIONS.includes(process.argv[2]) ? '.actions' : ''}.cache`)
  } catch {
    return undefined
  }
}

/**
 * Loads a bundle from its code cache: half the start-up time is otherwise spent compiling. Its text is the function that
 * Node puts around a module (scripts/bundle/make.mjs), in ASCII. A cache made by another Node, or for another bundle, is
 * rejected by V8 and the bundle compiled as usual.
 */
function load(file) {
  const script = new vm.Script(read(file).latin1Slice(), {
    filename: file,
    cachedData: readCache(file),
  })
  const loaded = { exports: {} }
  // Nothing but Node's own modules is left to require, and nothing to import.
  script.runInThisContext()(loaded.exports, require, loaded, file, path.dirname(file))
  return loaded.exports
}

/**
 * Runs a bundle, named from the root, with the arguments of this process. Ends as soon as it may: Node would first tidy up
 * what is gone with it.
 */
async function run(bundle, { main } = load(path.join(root, bundle))) {
  if (await main(process.argv.slice(2), root)) process.exit()
}

if (require.main === module) {
  if (process.argv[2] === 'lab') run('dist/lab.cjs', require('../dist/lab.cjs'))
  else run('dist/qusb.cjs')
}
// For the crash tests, whose bundle has fault points.
else module.exports = { run }
