// SPDX-License-Identifier: Apache-2.0

import Glibc

// One process runs one job: the order comes in on standard input, messages go out on standard output.
signal(SIGPIPE, SIG_IGN)
ProcessEnvironment.settle()
if CommandLine.arguments.dropFirst().first == "bench" {
    exit(Bench.run(Array(CommandLine.arguments.dropFirst(2))))
}
exit(Worker.run())
