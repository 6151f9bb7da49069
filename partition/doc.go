// Package partition keeps one replica's log. The book follows.
package partition
