#!/usr/bin/env node
'use strict'
// Starts qusb: picks the bundle (the lab has its own) and loads it with V8's code cache where one fits.
const fs = require('node:fs')
const path = require('node:path')
const vm = require('node:vm')

// The same as node:module, which brings the loader of ES modules with it.
const Module = module.constructor
const root = path.dirname(__dirname)

/**
 * Loads a bundle from its code cache: half the start-up time is otherwise spent compiling. The module is registered
 * under its file name, since oclif requires the bundle a second time. A cache made by another Node, or for another
 * bundle, is rejected by V8 and the bundle compiled as usual.
 */
function load(file) {
  const cached = require.cache[file]
  if (cached) return cached.exports
  let cachedData
  try {
    cachedData = fs.readFileSync(`${file}.cache`)
  } catch {
    return require(file)
  }
  const script = new vm.Script(Module.wrap(fs.readFileSync(file, 'latin1')), {
    filename: file,
    cachedData,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  const loaded = new Module(file, module)
  loaded.filename = file
  loaded.paths = Module._nodeModulePaths(path.dirname(file))
  require.cache[file] = loaded
  script.runInThisContext()(loaded.exports, Module.createRequire(file), loaded, file, path.dirname(file))
  loaded.loaded = true
  return loaded.exports
}

/** Runs a bundle, named from the root, with the arguments of this process. */
function run(bundle) {
  load(path.join(root, bundle)).main(process.argv.slice(2), root, bundle)
}

if (require.main === module) run(process.argv[2] === 'lab' ? 'dist/lab.cjs' : 'dist/qusb.cjs')
// For the crash tests, whose bundle has fault points.
else module.exports = { run }
