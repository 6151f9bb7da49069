//go:build synctests

package brokersim_test

// virtualClients says that kgo was built to hold no mutex across a wait.
const virtualClients = true
