// Runs the bundle that has the fault points, from its code cache, as bin/qusb.cjs runs the product's.
const fs = require('node:fs')
const path = require('node:path')
const vm = require('node:vm')

const Module = module.constructor
const root = path.resolve(__dirname, '../..')
const bundle = 'dist/qusb-fault-points.cjs'
const file = path.join(root, bundle)
const script = new vm.Script(Module.wrap(fs.readFileSync(file, 'latin1')), {
  filename: file,
  cachedData: fs.readFileSync(`${file}.cache`),
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})
const loaded = new Module(file, module)
loaded.filename = file
loaded.paths = Module._nodeModulePaths(path.dirname(file))
// oclif requires the bundle a second time.
require.cache[file] = loaded
script.runInThisContext()(loaded.exports, Module.createRequire(file), loaded, file, path.dirname(file))
loaded.loaded = true
loaded.exports.main(process.argv.slice(2), root, bundle)
