// Package bench asks the whole cluster questions of speed, one file a question.
//
// Each benchmark checks that the work that it times really happened, and says
// in its name what was asked: BenchmarkFailover/by=death/client=tuned. README.md
// tells how to run them and how to read what they print.
package bench
