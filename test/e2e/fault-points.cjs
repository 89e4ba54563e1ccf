// Runs the bundle that has the fault points, as bin/qusb.cjs runs the product's.
require('../../bin/qusb.cjs').run('dist/qusb-fault-points.cjs')
