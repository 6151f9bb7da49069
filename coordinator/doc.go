// Package coordinator decides the state of the cluster.
package coordinator
