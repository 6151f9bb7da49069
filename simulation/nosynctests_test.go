//go:build !synctests

package simulation_test

const virtualClients = false
