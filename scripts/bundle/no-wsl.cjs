// Stands in for wsl-utils, by which oclif tells Windows' Linux from others: dom0 is neither.
module.exports = { isWsl: false }
