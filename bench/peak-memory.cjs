// Loaded before a program: says on stderr what it needed at most, in KiB.
process.on('exit', () => {
  require('node:fs').writeSync(2, `\npeak-memory ${process.resourceUsage().maxRSS}\n`)
})
