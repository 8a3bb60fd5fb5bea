// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

// One process runs one job: the order comes in on standard input, messages go out on standard output.
signal(SIGPIPE, SIG_IGN)
// Chunks come and go by 16 MiB on several threads. From the heaps they would fragment, and memory would grow with
// the model; mapped, each goes back at once. Setting the threshold also keeps glibc from moving it.
_ = cl_map_allocations_from(4 << 20)
// Arithmetic on sizes needs no kernels.
if CommandLine.arguments.dropFirst().first == "predict" { exit(Prediction.run()) }
if CommandLine.arguments.dropFirst().first == "card" { exit(CardQuestion.run()) }
ProcessEnvironment.settle()
if CommandLine.arguments.dropFirst().first == "bench" {
    exit(Bench.run(Array(CommandLine.arguments.dropFirst(2))))
}
// A job takes what is left over: the daemon must answer while every core computes.
_ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
exit(Worker.run(CommandLine.arguments.dropFirst().first.flatMap(Worker.Place.init(rawValue:))))
